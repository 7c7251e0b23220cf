"""Where the pairs of a study come from, how the target is split, and which region features are used."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from emocap.corpora.embedded_images import contains_images
from emocap.corpora.options import ReadOptions
from emocap.corpora.read import FORMATS, unknown_format
from emocap.errors import EmocapError
from emocap.ratings import Ratings
from emocap.regions.extractors.registry import extractor_and_settings
from emocap.study.config.sections import Section


class CorpusConfig(Section):
    """Where pairs come from.

    Attributes:
        format: one of the readers.
        path: file, below `data_root` unless absolute.
        images: folder of the images, or a list of folders of which each image is in one, below `data_root` unless
            absolute; None where there are none.
        store: folder of a feature store of the images, below `data_root` unless absolute; None extracts the features.
        columns: role to the names of a table's columns, such as {image: file_name, caption: text}.
        label_separator: what separates the labels of a table's cell; "none" if a cell is one label; None detects it.
        label_threshold: the least score of a label that counts as named, where a table's labels have scores.
        negatives: whether pairs without an emotion are kept, as pairs that evoke none, or dropped.
        ratings: name to [lowest, highest] of numbers that people gave, such as {valence: [1, 7]}; read from the column
            NAME or NAME_mean, with NAME_sd and NAME_n where they exist, or as `columns` names them.
        group: the column of groups that splits keep together.
        where: column to the list of its values of which a row must have one, else it is left out.
        limit_images: read only so many images with all their captions, drawn by the seed; None reads all. Captions
            without images count as images.
        share: as `limit_images`, but the share of the images that is read; give one of the two.
        oracle: Parquet file of the true probabilities, where the corpus is synthetic and knows them.
    """

    format: str
    path: Path
    images: Path | Annotated[list[Path], Field(min_length=1)] | None = None
    store: Path | None = None
    columns: dict[str, str | list[str]] = Field(default_factory=dict)
    label_separator: str | None = None
    label_threshold: float = 0.5
    negatives: Literal["keep", "drop"] = "keep"
    ratings: dict[str, tuple[float, float]] = Field(default_factory=dict)
    group: str | None = None
    where: dict[str, list[bool | int | float | str]] = Field(default_factory=dict)
    limit_images: int | None = Field(None, ge=1)
    share: float | None = Field(None, gt=0, le=1)
    oracle: Path | None = None

    @field_validator("ratings", mode="before")
    @classmethod
    def _with_ranges(cls, value: Any) -> Any:
        try:
            return Ratings.of(value).ranges
        except EmocapError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _known_format(self) -> "CorpusConfig":
        if self.format not in FORMATS:
            raise ValueError(unknown_format(self.format))
        if self.share is not None and self.limit_images is not None:
            raise ValueError("share and limit_images are both given; give one")
        try:
            self.read_options()
        except EmocapError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def image_folders(self) -> list[Path]:
        """The folders of the images, as they are configured."""
        if self.images is None:
            return []
        return [self.images] if isinstance(self.images, Path) else self.images

    def has_images(self, data_root: Path) -> bool:
        """Whether there are images, in a folder, as features in a store, or in the corpus's own file."""
        column = self.columns.get("image", "image")
        is_embedded = isinstance(column, str) and contains_images(data_root / self.path, column)
        return self.images is not None or self.store is not None or is_embedded

    def read_options(self) -> ReadOptions:
        """How the corpus is read."""
        columns = self.columns if self.group is None else {**self.columns, "group": self.group}
        if self.group is not None and self.columns.get("group", self.group) != self.group:
            raise EmocapError(f"group is {self.group!r}, but columns.group is {self.columns['group']!r}; give one")
        return ReadOptions(
            columns,
            self.label_separator,
            self.label_threshold,
            ratings=Ratings.of(self.ratings),
            where=self.where,
            has_images=self.images is not None or self.store is not None,
        )


def _kind(value: Any) -> str:
    return "[several]" if isinstance(value, list) else "[one]"  # in brackets, which `first_error` leaves out


# One corpus, or several that are read as one, in this order.
Corpora = Annotated[
    Annotated[CorpusConfig, Tag("[one]")] | Annotated[list[CorpusConfig], Field(min_length=1), Tag("[several]")],
    Discriminator(_kind),
]


def corpora_of(domain: str, given: CorpusConfig | list[CorpusConfig]) -> list[CorpusConfig]:
    """The corpora of a domain, whether it is one corpus or a list.

    Raises:
        ValueError: one of several names a store or an oracle, which belong to one corpus alone.
    """
    corpora = [given] if isinstance(given, CorpusConfig) else given
    for number, corpus in enumerate(corpora if len(corpora) > 1 else []):
        for key in ("store", "oracle"):
            if getattr(corpus, key) is not None:
                instead = "give its images" if key == "store" else "leave it out"
                raise ValueError(f"{domain}.{number} names the {key} of one of several corpora; {instead}")
    return corpora


def joint_ratings(corpora: Sequence[CorpusConfig]) -> Ratings:
    """The ratings of all corpora in the order in which they are named, each with the scale of the first that has it.

    Raises:
        EmocapError: one is named in two cases.
    """
    ranges: dict[str, tuple[float, float]] = {}
    for corpus in corpora:
        ranges |= {name: ends for name, ends in corpus.ratings.items() if name not in ranges}
    return Ratings.of(ranges)


class SplitConfig(Section):
    """How the target is split.

    Attributes:
        train: share of the images; the three sum to 1.
        validation: share of the images.
        test: share of the images.
        corpus_split: use the corpus's own parts where it has them; `folds` never does.
        stock_captions: captions that may be in several parts, since they say nothing about one image.
    """

    train: float = Field(0.7, gt=0, lt=1)
    validation: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.2, gt=0, lt=1)
    corpus_split: bool = True
    stock_captions: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _sums_to_one(self) -> "SplitConfig":
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, validation and test sum to {total:g}, expected 1")
        return self


class FeatureConfig(Section):
    """Region features: the extractor, "NAME", "NAME:WEIGHTS" or "auto", and its own settings."""

    extractor: str = "auto"
    settings: dict[str, bool | int | float | str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_extractor(self) -> "FeatureConfig":
        try:
            extractor_and_settings(self.extractor, self.settings)
        except EmocapError as error:
            raise ValueError(str(error)) from None
        return self
