"""emocap: what people will feel when they see a picture with its caption, and captions that make them feel it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from emocap.errors import EmocapError

if TYPE_CHECKING:
    from emocap.api.captioner import EmotionCaptioner
    from emocap.api.predictor import EmotionPredictor

__all__ = ["EmocapError", "EmotionCaptioner", "EmotionPredictor"]
_ROOMS = {
    "EmotionCaptioner": "emocap.api.captioner",
    "EmotionPredictor": "emocap.api.predictor",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:  # torch loads only when it is asked for
        return getattr(import_module(_ROOMS[name]), name)
    raise AttributeError(f"module 'emocap' has no attribute {name!r}")
