"""Loading a model folder of any kind."""

from collections.abc import Callable
from pathlib import Path

from emocap.classifiers.base import Classifier
from emocap.classifiers.network import NetworkClassifier
from emocap.classifiers.places import find_model
from emocap.errors import EmocapError
from emocap.training.checkpoint import CARD, VISUAL_BERT, read_card

_LOADERS: dict[str, Callable[[Path], Classifier]] = {VISUAL_BERT: NetworkClassifier.load}


def load_classifier(folder: Path | str) -> Classifier:
    """Load the model that a path names, ready to predict.

    Args:
        folder: a model folder; the folder of a model of a study, such as `RUN/AnB+` or `RUN/baselines/tfidf`; or a run
            directory, for the model that it recommends, whose name is logged.

    Raises:
        EmocapError: there is none, or it is damaged.
    """
    return _load(find_model(Path(folder)))


def _load(folder: Path) -> Classifier:
    card = read_card(folder)
    if card.kind in _LOADERS:
        return _LOADERS[card.kind](folder)
    kinds = ", ".join(_LOADERS)
    raise EmocapError(f"{folder / CARD}: kind is {card.kind!r}, expected one of {kinds}; use a matching emocap")
