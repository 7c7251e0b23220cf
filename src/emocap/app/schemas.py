"""The questions and answers of the REST interface, as its OpenAPI document shows them."""

import base64
import binascii
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from emocap.app.limits import Limits
from emocap.app.served_model import Measured
from emocap.app.service import MOST_WRITTEN, Prediction
from emocap.captioning.rerank import Ranked

# Far above what a server lets in, so that no list costs more to refuse than to read.
MOST_EMOTIONS, MOST_CAPTIONS = 100, 10_000
EXAMPLE_IMAGE = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415478"
        "9c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
    )
).decode()


def _decoded(text: str | None) -> str | None:
    """Refuse what is no base64; the bytes are taken by `image_bytes`."""
    image_bytes(text)
    return text


def image_bytes(text: str | None) -> bytes | None:
    """A picture's bytes from base64.

    Raises:
        ValueError: it is none.
    """
    if text is None:
        return None
    if text[:5].lower() in ("http:", "https", "file:", "data:"):
        raise ValueError("is an address; emocap fetches none, send the file's bytes as base64")
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64; send the file's bytes as base64") from None


Image = Annotated[
    str,
    AfterValidator(_decoded),
    WithJsonSchema(
        {
            "type": "string",
            "format": "byte",
            "description": "The bytes of a picture file (JPEG, PNG, WebP ...) as base64. Addresses are not fetched.",
            "examples": [EXAMPLE_IMAGE],
        }
    ),
]
Emotion = Annotated[str, Field(max_length=100)]
Emotions = Annotated[
    list[Emotion],
    FailFast(),
    Field(
        max_length=MOST_EMOTIONS,
        description="Of the model's emotions; GET /v1/model lists them.",
        examples=[["hopeful"]],
    ),
]
Captions = Annotated[list[str], FailFast(), Field(min_length=1, max_length=MOST_CAPTIONS)]
Strength = Annotated[float | None, Field(ge=0, le=20, allow_inf_nan=False)]
CAPTIONS = ["At last the lighthouse celebrates.", "The old lighthouse was left alone."]


class Question(BaseModel):
    """What all questions share: unknown keys are refused, at the first one."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    shown = str(key)[:60].encode("utf-8", "backslashreplace").decode()
                    told = "{key}: not a key of this question; leave it out"
                    raise PydanticCustomError("unknown_key", told, {"key": shown})
        return values


class PredictQuestion(Question):
    """Captions, with a picture or without."""

    image: Image | None = None
    captions: Captions = Field(description="Each is judged with the picture.", examples=[CAPTIONS])
    emotions: Emotions = Field(default=[], description="Meant to be felt, and so never reported as unintended.")
    top: int | None = Field(default=None, ge=1, description="Emotions given for each caption; all if left out.")


class RankQuestion(Question):
    """Captions to be ordered by the emotions that are wanted."""

    image: Image | None = None
    captions: Captions = Field(examples=[CAPTIONS])
    emotions: Emotions = Field(min_length=1)
    avoid: Emotions = Field(default=[], description="Not to be felt.", examples=[["scared"]])
    max_chars: int | None = Field(default=None, ge=1, le=10**6, description="Longer captions stand behind.")
    strength: Strength = Field(default=None, description="Of the emotions against faithfulness to the picture.")


class ExplainQuestion(Question):
    """A pair, and the emotion to explain; the likeliest if left out."""

    image: Image | None = None
    caption: str = Field(examples=[CAPTIONS[0]])
    emotion: Emotion | None = Field(default=None, examples=["happy"])


class CaptionQuestion(Question):
    """A picture to write captions for, and what they are to make people feel."""

    image: Image
    emotions: Emotions
    n: int = Field(default=5, ge=1, le=MOST_WRITTEN, description="At most so many.")
    avoid: Emotions = Field(default=[], description="Not to be felt.", examples=[["scared"]])
    max_chars: int | None = Field(default=None, ge=1, le=10**6, examples=[125])
    guidance: Strength = Field(default=None, description="Strength of the emotions in writing; 1 is as learnt.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="The same gives the same captions.")


class PredictAnswer(BaseModel):
    """One entry for each caption, in the order asked."""

    predictions: list[Prediction]


class RankAnswer(BaseModel):
    """Captions, best first; those that something speaks against stand behind and say what.

    `note` is a remark on the question, such as that its emotions pull in opposite directions.
    """

    captions: list[Ranked]
    note: str | None


class ModelAnswer(BaseModel):
    """What the model is, and what it is worth."""

    name: str
    emotions: list[str]
    sees_pictures: bool
    writes_captions: bool
    measured: Measured | None
    about: str
    limits: dict[str, Any]


class Refusal(BaseModel):
    """Why there is no answer, in one sentence."""

    detail: str


def shown_limits(limits: Limits) -> dict[str, Any]:
    """The limits that a caller can keep to."""
    return {name: getattr(limits, name) for name in ("bytes", "pixels", "captions", "characters", "seconds")}
