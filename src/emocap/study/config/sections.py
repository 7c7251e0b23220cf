"""What the parts of a study's configuration are made of."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**31)]


def distinct(values: list[Any] | None) -> list[Any] | None:
    """The same values.

    Raises:
        ValueError: one comes twice.
    """
    if values is not None and len(set(values)) < len(values):
        raise ValueError("has a value twice")
    return values


class Section(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
