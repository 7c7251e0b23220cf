"""One model of a study: what it starts from, what is trained, its settings, and how a report shows it."""

from dataclasses import dataclass, fields
from typing import Any, Literal

Kind = Literal["baseline", "selection", "study", "control", "ensemble", "pretraining", "reference"]


@dataclass(frozen=True)
class StudyModel:
    """One model of a study.

    Attributes:
        name: its key in results, its folder in the run directory.
        kind: "baseline" and "study" are evaluated on the target, "selection" takes the predictions of one of several
            models in each unit, "control" is evaluated beside a study's model, but never chosen or recommended,
            "ensemble" is the mean of others, "pretraining" learns another corpus only, "reference" belongs to the
            transfer study or to the corpus.
        description: one line for a legend.
        label: its name within a sentence.
        display_name: its name in tables and legends, where that is not its key.
        series, marker, filled: how a figure draws it; series 0 is the text colour, 1 to 4 are the page's palette.
        corpus: the corpus besides the target that it needs, "source" or "labelled_source"; None where it needs none. A
            baseline that reads images needs images of it too.
        starts_from: "backbone", or the model whose layers it copies; None for what is not trained by gradient descent.
        frozen: whether the copied layers keep their weights; `models/transfer.py` decides which parameters these are.
        settings: key of its training settings in the configuration; None where it has none.
        features_from: corpora whose region features it has seen, the first that has some decides their fingerprint;
            a model without any is trained on captions alone.
        is_optional: whether it exists only where its settings are given.
        in_ensemble: whether the ensemble holds it unless the configuration says otherwise.
        reads: of a baseline: what it reads, "caption" and "image"; it exists only where the target has such.
        control: of a control, or the student that it starts from: its name in `pseudo_labels.controls`.
        rating_description: of a baseline: what it is in a study of ratings alone; empty where that is the same.
    """

    name: str
    kind: Kind
    description: str
    label: str
    series: int
    marker: str
    filled: bool = False
    display_name: str | None = None
    corpus: str | None = None
    starts_from: str | None = None
    frozen: bool = False
    settings: str | None = None
    features_from: tuple[str, ...] = ("target",)
    is_optional: bool = False
    in_ensemble: bool = False
    reads: tuple[str, ...] = ()
    control: str | None = None
    rating_description: str = ""

    @property
    def structure(self) -> dict[str, Any]:
        """What decides how it is trained and evaluated, without how it is shown."""
        shown = {"description", "rating_description", "label", "display_name", "series", "marker", "filled"}
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in shown}
