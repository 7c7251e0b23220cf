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
        slow: explanations and requests to write among them.
        seconds: until an answer; one that takes longer gets 504.
        body_seconds: until a request's body has arrived; a slower one gets 408.
        header_seconds: until a request's head has arrived; a slower connection is closed.
        connections: open at once; requests on more get 429.
        kept: bytes of pictures that the page keeps, and of bodies that are being read.
        batch: captions that go through the model at once.
    """

    bytes: int = 16 * 2**20
    pixels: int = 40_000_000
    captions: int = 20
    characters: int = 2000
    waiting: int = 3
    slow: int = 1
    seconds: float = 30.0
    body_seconds: float = 20.0
    header_seconds: float = 10.0
    connections: int = 256
    kept: int = 256 * 2**20
    batch: int = 32

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 < (value := getattr(self, field.name)) < float("inf"):
                raise EmocapError(f"serve: {field.name} is {value}, expected more than 0")
