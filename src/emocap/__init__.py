"""emocap: what people will feel when they see a picture with its caption."""

from typing import TYPE_CHECKING, Any

from emocap.errors import EmocapError

if TYPE_CHECKING:
    from emocap.inference.predictor import EmotionPredictor

__all__ = ["EmocapError", "EmotionPredictor"]


def __getattr__(name: str) -> Any:
    if name == "EmotionPredictor":  # torch loads only when it is asked for
        from emocap.inference.predictor import EmotionPredictor

        return EmotionPredictor
    raise AttributeError(f"module 'emocap' has no attribute {name!r}")
