"""`history.json`, `audit.json` and `photographs.json`: training losses, and what was made of the pseudo-labels."""

from pydantic import AliasChoices, BaseModel, Field, FiniteFloat, model_validator


class TrainRow(BaseModel):
    """One logged step."""

    step: int
    epoch: FiniteFloat
    loss: FiniteFloat


class ValidationRow(TrainRow):
    """One epoch's end."""

    mean_average_precision: FiniteFloat | None = None
    bce: FiniteFloat | None = None  # where the loss is a different one


class History(BaseModel):
    """`history.json` of one training run."""

    run: str = ""
    train: list[TrainRow] = []
    validation: list[ValidationRow] = []
    best_epoch: FiniteFloat | None = None
    seconds: FiniteFloat | None = None
    n_train_pairs: int | None = None


class Contrast(BaseModel):
    """What the emotions kept for two captions have in common, as `emocap.pseudo_labels.contrast` gives it."""

    n_images: int
    same_image: FiniteFloat | None = None
    other_images: FiniteFloat | None = None
    n_occurring: int


class Audit(BaseModel):
    """`audit.json`: what selection did to the emotions."""

    labels: list[str]
    p: int | None = None
    k: int | None = None
    fraction: FiniteFloat | None = None
    label_type: str | None = Field(default=None, validation_alias=AliasChoices("label_type", "targets"))
    rank: str = "probability"
    n_source_pairs: int
    n_candidates: int | None = None
    n_selected: int
    target_share: list[FiniteFloat] | None = None
    before: list[FiniteFloat]
    after: list[FiniteFloat]
    entropy_before: FiniteFloat
    entropy_after: FiniteFloat
    entropy_target: FiniteFloat | None = None
    entropy_max: FiniteFloat
    never_chosen: list[str] = []
    largest_share: FiniteFloat | None = None
    contrast: dict[str, Contrast] = {}
    warning: str | None = None

    @model_validator(mode="after")
    def _one_share_per_label(self) -> "Audit":
        for name in ("target_share", "before", "after"):
            shares = getattr(self, name)
            if shares is not None and len(shares) != len(self.labels):
                raise ValueError(f"{name!r} has {len(shares)} values for {len(self.labels)} labels")
        return self


class Photographs(BaseModel):
    """`photographs.json`: how many of the student's pairs show what."""

    pairs: dict[str, int]
