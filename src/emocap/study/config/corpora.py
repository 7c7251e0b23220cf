"""Where the pairs of a study come from, how the target is split, and which region features are used."""

from pathlib import Path

from pydantic import Field, model_validator

from emocap.corpora.read import FORMATS, unknown_format
from emocap.errors import EmocapError
from emocap.regions.extractors.registry import extractor_and_settings
from emocap.study.config.sections import Section


class CorpusConfig(Section):
    """Where pairs come from.

    Attributes:
        format: one of the readers.
        path: file, below `data_root` unless absolute.
        images: folder of the images, below `data_root` unless absolute; None where there are none.
        store: folder of a feature store of the images, below `data_root` unless absolute; None extracts the features.
        limit_images: read only so many images with all their captions, drawn by the seed; None reads all.
        oracle: Parquet file of the true probabilities, where the corpus is synthetic and knows them.
    """

    format: str
    path: Path
    images: Path | None = None
    store: Path | None = None
    limit_images: int | None = Field(None, ge=1)
    oracle: Path | None = None

    @model_validator(mode="after")
    def _known_format(self) -> "CorpusConfig":
        if self.format not in FORMATS:
            raise ValueError(unknown_format(self.format))
        return self


class SplitConfig(Section):
    """Shares of the target's images; they sum to 1."""

    train: float = Field(0.7, gt=0, lt=1)
    validation: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.2, gt=0, lt=1)

    @model_validator(mode="after")
    def _sums_to_one(self) -> "SplitConfig":
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, validation and test sum to {total:g}, expected 1")
        return self


class FeatureConfig(Section):
    """Region features: the extractor, "NAME" or "NAME:WEIGHTS", and its own settings."""

    extractor: str = "grid"
    settings: dict[str, bool | int | float | str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_extractor(self) -> "FeatureConfig":
        try:
            extractor_and_settings(self.extractor, self.settings)
        except EmocapError as error:
            raise ValueError(str(error)) from None
        return self
