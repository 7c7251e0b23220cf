"""emocap predicts the emotions that an image with a caption evokes, and generates captions for requested emotions."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from emocap.errors import EmocapError

if TYPE_CHECKING:
    from emocap.api.captioner import EmotionCaptioner
    from emocap.api.predictor import EmotionPredictor
    from emocap.api.training import EmotionClassifier
    from emocap.corpora.pairs import Pairs

__all__ = ["EmocapError", "EmotionCaptioner", "EmotionClassifier", "EmotionPredictor", "Pairs"]
_MODULES = {
    "EmotionCaptioner": "emocap.api.captioner",
    "EmotionClassifier": "emocap.api.training",
    "EmotionPredictor": "emocap.api.predictor",
    "Pairs": "emocap.corpora.pairs",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:  # torch is imported only when needed
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'emocap' has no attribute {name!r}")
