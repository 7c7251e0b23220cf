"""Loading a model folder of any kind."""

from collections.abc import Callable
from pathlib import Path

from emocap.classifiers.base import Classifier
from emocap.classifiers.baseline import BaselineClassifier
from emocap.classifiers.baseline_files import KINDS
from emocap.classifiers.compact import load_compact
from emocap.classifiers.ensemble import ENSEMBLE, EnsembleClassifier
from emocap.classifiers.evaluation_file import require_as_evaluated
from emocap.classifiers.network import NetworkClassifier
from emocap.classifiers.places import find_model
from emocap.classifiers.required_backbone import is_compact
from emocap.errors import EmocapError
from emocap.training.card_file import CARD
from emocap.training.checkpoint import NETWORKS, read_card

_LOADERS: dict[str, Callable[[Path], Classifier]] = {
    **dict.fromkeys(NETWORKS, NetworkClassifier.load),
    **dict.fromkeys(KINDS, BaselineClassifier.load),
}


def load_classifier(folder: Path | str) -> Classifier:
    """Load the model that a path names, ready to predict.

    Args:
        folder: a model folder; the folder of a model of a study, such as `RUN/AnB+` or `RUN/baselines/tfidf`; or a run
            directory, for the model that it recommends, whose name is logged.

    Raises:
        EmocapError: there is none, or it is damaged.
    """
    return _load(find_model(Path(folder)), ())


def _load(folder: Path, ensembles: tuple[Path, ...]) -> Classifier:
    """Load a model folder; `ensembles` are those whose member it is."""
    if folder.resolve() in ensembles:
        raise EmocapError(f"{folder / CARD}: an ensemble that is a member of itself; run the study again")
    if is_compact(folder):
        return NetworkClassifier(load_compact(folder))
    kind = read_card(folder).kind
    require_as_evaluated(folder)
    if kind == ENSEMBLE:
        return EnsembleClassifier.load(folder, lambda member: _load(member, (*ensembles, folder.resolve())))
    if kind in _LOADERS:
        return _LOADERS[kind](folder)
    kinds = ", ".join((*_LOADERS, ENSEMBLE))
    raise EmocapError(f"{folder / CARD}: kind is {kind!r}, expected one of {kinds}; use a matching emocap")
