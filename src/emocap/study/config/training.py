"""How a study's models are built, transferred, compared with baselines and evaluated."""

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from emocap.study.config.sections import Section, Seed, distinct
from emocap.study.models import BASELINES, MODELS
from emocap.training.settings import LoraSettings, TrainSettings


class ModelConfig(Section):
    """The classifier.

    Attributes:
        backbone: "auto", "offline" (MiniLM), "large" (MPNet), a folder, or a name on the hub.
        pooling: "mean" over all attended tokens, "pooler" as in the founding study, the "first" token, or "first+mean".
        visual_token_type: 0 as in VisualBERT's own code, 1 as in transformers' documentation.
        max_length: a caption is truncated to so many tokens, special tokens included.
        dropout: of hidden states and attention; None keeps the backbone's.
    """

    backbone: str = "auto"
    pooling: Literal["mean", "pooler", "first", "first+mean"] = "mean"
    visual_token_type: int = Field(0, ge=0)
    max_length: int = Field(64, ge=3, le=512)
    dropout: float | None = Field(None, ge=0, lt=1)


class FreshModelSettings(TrainSettings):
    """Training of a model that starts from a backbone; beside `TrainSettings`:

    Attributes:
        backbone: as `model.backbone`, of this model alone; None means `model.backbone`.
    """

    backbone: str | None = None


class TransferConfig(Section):
    """Transfer of the student's layers back to the target.

    Attributes:
        n_transferred: number of lowest encoder layers that are copied; None means all.
        head: "fresh" initialises `fc` anew, "copied" takes the student's, and of a labelled source's model the outputs
            of the same name.
        layers: the numbers of layers that the transfer study copies (Yosinski et al. 2014); None leaves the study out.
        controls: the transfer study also copies the teacher's own layers (BnB, BnB+), and runs the references.
        seeds: of the transfer study's re-initialised layers and orders.
        AnB: training with the copied layers frozen; BnB likewise.
        AnB_plus: training of everything; `AnB+` in the YAML; BnB+ likewise.
        AnB_LoRA: training of low-rank updates of the copied layers, and of the rest; `AnB-LoRA` in the YAML. It has
            `lora` by default; None leaves these models out.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    n_transferred: int | None = Field(None, ge=0)
    head: Literal["fresh", "copied"] = "fresh"
    layers: list[Annotated[int, Field(ge=0)]] | None = Field(None, min_length=1)
    controls: bool = True
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1)
    AnB: TrainSettings = Field(default_factory=lambda: TrainSettings(epochs=10))
    AnB_plus: TrainSettings = Field(default_factory=TrainSettings, alias="AnB+")
    AnB_LoRA: TrainSettings | None = Field(None, alias="AnB-LoRA")

    _distinct_values = field_validator("seeds", "layers")(distinct)

    @model_validator(mode="after")
    def _updates_where_layers_learn(self) -> "TransferConfig":
        if self.AnB.lora is not None:
            raise ValueError("AnB.lora is given, but AnB freezes what it copies; give transfer.AnB-LoRA")
        if self.AnB_LoRA is not None and self.AnB_LoRA.lora is None:
            self.AnB_LoRA = self.AnB_LoRA.model_copy(update={"lora": LoraSettings()})
        return self


OPTIONAL = tuple(name for name in BASELINES if name != "prior")


def _fitted_baseline(name: str) -> str:
    if name not in OPTIONAL:
        raise ValueError(f"no such baseline; expected some of {', '.join(OPTIONAL)}")
    return name


class BaselineConfig(Section):
    """What the models are compared with.

    Attributes:
        names: the baselines that are fitted; `prior` always is. None fits all that apply: those that read images where
            the target's models see features, those that read captions where the target has some, and the one of the
            labelled source where that has images and an emotion or rating of the target.
        vectors: sentence vectors for "vectors", "neighbours" and "vectors_image": "offline" (MiniLM), "large" (MPNet),
            or a sentence-transformers model.
    """

    names: list[Annotated[str, AfterValidator(_fitted_baseline)]] | None = None
    vectors: str = "offline"

    _distinct_names = field_validator("names")(distinct)

    def fitted(self, with_images: Collection[str]) -> list[str]:
        """The baselines of a study, the prior first.

        Args:
            with_images: domains of the corpora whose features models see.
        """
        every = [
            name
            for name in OPTIONAL
            if ("image" not in MODELS[name].reads or "target" in with_images)
            and MODELS[name].corpus in (None, *with_images)
        ]
        return ["prior", *(every if self.names is None else self.names)]


class EvaluationConfig(Section):
    """How the models are scored.

    Attributes:
        reference: the model that all others are compared with, besides the baselines.
        n_bootstrap: draws of the bootstrap over images, and over seeds where there are several.
        ensemble: models, baselines included, whose logits are averaged over all seeds into "ensemble"; None takes every
            fine-tuned one (teacher, AnB+, labelled_AnB+), an empty list none.
        text_alone: also train the teacher on the captions alone, "teacher_text", so that what images add is tested. The
            modality ablation shows only what a model that was trained on both makes of one.
    """

    reference: str = "teacher"
    n_bootstrap: int = Field(1000, ge=100, le=100_000)
    ensemble: list[str] | None = None
    text_alone: bool = False
