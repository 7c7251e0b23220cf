"""The limits of a server, so that no client can exhaust its time or memory."""

from dataclasses import dataclass, fields

from emocap.errors import EmocapError


@dataclass(frozen=True)
class Limits:
    """Limits; a request beyond one of them is an error.

    Attributes:
        bytes: size of a request's body; base64 makes an image a third larger.
        pixels: size of an image.
        captions: number of captions in a request.
        characters: length of a caption.
        waiting: requests accepted and not yet answered; further ones get status 429.
        slow: how many of these may be explanations or caption generation.
        seconds: time for a response; a request that takes longer gets status 504.
        body_seconds: time for a request's body to arrive; a slower one gets status 408.
        header_seconds: time for a request's headers to arrive; a slower connection is closed.
        connections: open connections; requests on further ones get status 429.
        stored_bytes: uploaded images that the page stores; also, separately, the request bodies in memory.
        batch: captions per forward pass.
    """

    bytes: int = 16 * 2**20
    pixels: int = 40_000_000
    captions: int = 20
    characters: int = 2000
    waiting: int = 32
    slow: int = 4
    seconds: float = 30.0
    body_seconds: float = 20.0
    header_seconds: float = 10.0
    connections: int = 256
    stored_bytes: int = 256 * 2**20
    batch: int = 32

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 < (value := getattr(self, field.name)) < float("inf"):
                raise EmocapError(f"serve: {field.name} is {value}, expected more than 0")
