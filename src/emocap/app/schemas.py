"""The requests and responses of the REST interface, as its OpenAPI document shows them."""

import base64
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from emocap.app.image_data import image_bytes
from emocap.app.limits import Limits
from emocap.app.served_model import Evaluation, HeldOutScores
from emocap.app.service import MAX_GENERATED, Prediction
from emocap.captioning.rerank import RankedCaption

# Far above the limits of a server; a longer list would cost more to validate than to read.
MAX_EMOTIONS, MAX_CAPTIONS = 100, 10_000
EXAMPLE_IMAGE = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415478"
        "9c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
    )
).decode()


def _check_base64(text: str | None) -> str | None:
    """Reject what is no image in base64; the routes decode it."""
    image_bytes(text)
    return text


Image = Annotated[
    str,
    AfterValidator(_check_base64),
    WithJsonSchema(
        {
            "type": "string",
            "format": "byte",
            "description": "The bytes of an image file (JPEG, PNG, WebP ...) as base64, or a data: URL of them. "
            "Other URLs are not fetched.",
            "examples": [EXAMPLE_IMAGE],
        }
    ),
]
Emotion = Annotated[str, Field(max_length=100)]
Emotions = Annotated[
    list[Emotion],
    FailFast(),
    Field(
        max_length=MAX_EMOTIONS,
        description="Emotions of the model; GET /v1/model lists them.",
        examples=[["hopeful"]],
    ),
]
Style = Annotated[str, Field(max_length=100)]
Captions = Annotated[list[str], FailFast(), Field(min_length=1, max_length=MAX_CAPTIONS)]
Strength = Annotated[float | None, Field(ge=0, le=20, allow_inf_nan=False)]
CAPTIONS = ["At last the lighthouse celebrates.", "The old lighthouse was left alone."]


class RequestModel(BaseModel):
    """Base of all requests: an unknown key is an error, the first one ends the validation."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    name = str(key)[:60].encode("utf-8", "backslashreplace").decode()
                    raise PydanticCustomError("unknown_key", "{key}: unknown key; leave it out", {"key": name})
        return values


class PredictRequest(RequestModel):
    """Captions, with or without an image."""

    image: Image | None = None
    captions: Captions = Field(
        description="Each is a pair with the image; an empty one stands for the image alone.", examples=[CAPTIONS]
    )
    emotions: Emotions = Field(default=[], description="Target emotions, which are never reported as unintended.")
    top: int | None = Field(
        default=None, ge=1, description="Number of emotions in the response for each caption; default all."
    )


class RankRequest(RequestModel):
    """Captions to rank by the target emotions."""

    image: Image | None = None
    captions: Captions = Field(examples=[CAPTIONS])
    emotions: Emotions = Field(min_length=1)
    avoid: Emotions = Field(default=[], description="Emotions to avoid.", examples=[["scared"]])
    max_chars: int | None = Field(
        default=None, ge=1, le=10**6, description="Longer captions are ranked below the others."
    )
    strength: Strength = Field(default=None, description="Weight of the emotions against faithfulness to the image.")


class ExplainRequest(RequestModel):
    """A pair, and the emotion or rating to explain; default the most likely emotion."""

    image: Image | None = None
    caption: str = Field(examples=[CAPTIONS[0]])
    emotion: Emotion | None = Field(default=None, examples=["happy"])


class CaptionRequest(RequestModel):
    """An image to generate captions for, and the target emotions and the style, if any."""

    image: Image
    emotions: Emotions = Field(default=[], description="Target emotions; none requests ordinary captions.")
    style: Style | None = Field(default=None, description="A style of the captioner; GET /v1/model lists them.")
    n: int = Field(default=5, ge=1, le=MAX_GENERATED, description="Maximum number of captions.")
    avoid: Emotions = Field(default=[], description="Emotions to avoid.", examples=[["scared"]])
    max_chars: int | None = Field(default=None, ge=1, le=10**6, examples=[125])
    guidance: Strength = Field(default=None, description="Guidance scale of the emotions; 1 is as trained.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Random seed: the same seed gives the same captions.")


class PredictResponse(BaseModel):
    """One entry for each caption, in the order of the request; `remarks` are on the model and the image."""

    predictions: list[Prediction]
    remarks: list[str]


class RankResponse(BaseModel):
    """Captions, best first; those with remarks are ranked below the others.

    The `probability` of a caption is that of all target emotions together; it is 1 where there are none.
    `note` is a remark on the request, such as that its target emotions are opposites. `remarks` are on the model, the
    image and the captions together, such as that none of them makes a target emotion likelier than it usually is.
    """

    captions: list[RankedCaption]
    note: str | None
    remarks: list[str]


class ModelResponse(BaseModel):
    """The model, its test scores, the language of its training captions (ISO 639) and the limits of a request.

    `ratings` has the lowest and highest value of each rating's scale. `styles` are those of the captioner, if it has
    any. `evaluation` compares the model with a baseline
    of its study; null if it was not evaluated. `card` is the model card in Markdown, of models that have one.
    """

    name: str
    emotions: list[str]
    ratings: dict[str, tuple[float, float]]
    uses_images: bool
    uses_captions: bool
    writes_captions: bool
    styles: list[str]
    measured: HeldOutScores | None
    evaluation: Evaluation | None
    language: str | None
    version: str
    remarks: list[str]
    about: str
    card: str | None
    limits: dict[str, Any]


class ErrorResponse(BaseModel):
    """What is wrong, in one sentence."""

    detail: str


def public_limits(limits: Limits) -> dict[str, Any]:
    """The limits that a client can keep to."""
    return {name: getattr(limits, name) for name in ("bytes", "pixels", "captions", "characters", "seconds")}
