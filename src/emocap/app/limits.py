"""How much the server takes at once, so that nobody can bring it down by asking for too much."""

from dataclasses import dataclass, fields

from emocap.errors import EmocapError


@dataclass(frozen=True)
class Limits:
    """What is more than this is refused in one sentence.

    Attributes:
        bytes: of a request's body; a picture's base64 takes a third more than the picture.
        pixels: of a picture.
        captions: in one request.
        characters: of a caption.
        waiting: requests accepted and not yet answered; the next one gets 429.
        seconds: until an answer; one that takes longer gets 504.
        body_seconds: until a request's body has arrived; a slower one gets 408.
        connections: open at once.
        batch: captions that go through the model at once.
    """

    bytes: int = 16 * 2**20
    pixels: int = 40_000_000
    captions: int = 20
    characters: int = 2000
    waiting: int = 6
    seconds: float = 30.0
    body_seconds: float = 20.0
    connections: int = 256
    batch: int = 32

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 < (value := getattr(self, field.name)) < float("inf"):
                raise EmocapError(f"serve: {field.name} is {value}, expected more than 0")
