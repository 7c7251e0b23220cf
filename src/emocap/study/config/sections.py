"""The base class of every part of a study's configuration."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Seed = Annotated[int, Field(ge=0, lt=2**31)]


def distinct(values: list[Any] | None) -> list[Any] | None:
    """The same values.

    Raises:
        ValueError: a value occurs twice.
    """
    if values is not None and len(set(values)) < len(values):
        raise ValueError("has a value twice")
    return values


class Section(BaseModel):
    """A part of the configuration; an unknown key is an error, a renamed one names its successor."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    renamed_keys: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _names_the_new_key(cls, values: Any) -> Any:
        for old, new in cls.renamed_keys.items():
            if isinstance(values, dict) and old in values:
                raise ValueError(f"the key {old!r} has been renamed; write {new!r} instead")
        return values
