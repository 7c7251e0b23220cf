"""The studies in `results.json`: modality ablation, transfer, pseudo-labels."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from emocap.report.files.comparison import Comparison, Count, Number
from emocap.report.files.ratings import RatingResults
from emocap.study.config.pseudo_labels import SAMPLE_KEYS
from emocap.study.models import MODELS

OLD_SETTINGS = {"targets": "label_type"}


def _known_setting(name: str) -> str:
    if name not in ("base", *SAMPLE_KEYS, "control"):
        raise ValueError(f"{name!r} is not a setting of the pseudo-labels")
    return name


class ModalityAblation(Comparison):
    """One model's scores with the image or the caption removed or swapped."""

    model: str
    n_pairs: Count
    ratings: RatingResults | None = None

    @property
    def has_captions(self) -> bool:
        """Whether the views that concern captions were measured; where no pair has a caption they are left out."""
        return "caption_only" in self.models


class TransferPoint(BaseModel):
    """One run of the transfer study: n layers copied, None for the references."""

    model: str
    run: str
    n: Count | None = None

    @property
    def copies_layers(self) -> bool:
        """Whether the run starts from layers of another model of the study."""
        return MODELS[self.run].starts_from in MODELS


class TransferStudy(Comparison):
    """The transfer study in the manner of Yosinski et al. 2014."""

    points: list[TransferPoint]
    n_layers: Annotated[int, Field(strict=True, ge=0, le=1000)]
    seeds: list[int]
    ratings: RatingResults | None = None

    @model_validator(mode="after")
    def _points_are_known(self) -> "TransferStudy":
        for point in self.points:
            if point.model not in self.models:
                raise ValueError(f"'models' lacks the point {point.model!r}")
            if point.run not in MODELS:
                raise ValueError(f"point {point.model!r}: {point.run!r} is not a model of a study")
            if (point.n is not None) != point.copies_layers:
                raise ValueError(f"point {point.model!r}: 'n' is {point.n} for run {point.run}")
            if point.n is not None and point.n > self.n_layers:
                raise ValueError(f"point {point.model!r}: 'n' is {point.n} of {self.n_layers} layers")
        return self


class PseudoPoint(BaseModel):
    """One variation of the pseudo-labels."""

    model: str
    varied: Annotated[
        str,
        BeforeValidator(lambda name: OLD_SETTINGS.get(name, name)),
        AfterValidator(_known_setting),
    ]
    value: int | Number | str | None = None
    n_selected: Count | None = None


class PseudoLabelStudy(Comparison):
    """The study of pseudo-labels, one setting varied at a time."""

    points: list[PseudoPoint]
    seeds: list[int] = Field(default_factory=list)

    @model_validator(mode="after")
    def _points_are_known(self) -> "PseudoLabelStudy":
        for point in self.points:
            if point.model not in self.models:
                raise ValueError(f"'models' lacks the point {point.model!r}")
        if not any(point.varied == "base" for point in self.points):
            raise ValueError("'points' lacks the base")
        return self
