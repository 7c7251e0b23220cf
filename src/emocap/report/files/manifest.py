"""`manifest.json`: what ran, on which data, for how long, and what was rejected."""

from pathlib import PurePath
from typing import Any

from pydantic import AliasChoices, BaseModel, Field, FiniteFloat, model_validator


class Rejected(BaseModel):
    """Rejected rows or images, with reasons."""

    count: int = 0
    reasons: dict[str, int] = {}
    examples: list[dict[str, Any]] = []


class Stage(BaseModel):
    """One finished stage."""

    name: str
    seconds: FiniteFloat | None = None
    finished: str | None = None


class Manifest(BaseModel):
    """`manifest.json`: what ran, on what and for how long.

    Attributes:
        units: folders of the parts of the study, relative to the run directory, one per seed and fold.
    """

    name: str = ""
    command: str | None = None
    config: dict[str, Any] = {}
    seed: int | None = None
    vocabulary: str | None = None
    versions: dict[str, str] = {}
    machine: dict[str, Any] = {}
    peak_memory_gib: FiniteFloat | None = None
    data: dict[str, dict[str, int | None] | None] = {}
    rejected: dict[str, Rejected | None] = Field(default={}, validation_alias=AliasChoices("rejected", "quarantined"))
    stages: list[Stage] = []
    units: list[str] = Field(default=["."], min_length=1)

    @model_validator(mode="after")
    def _units_are_inside(self) -> "Manifest":
        for unit in self.units:
            if PurePath(unit).is_absolute() or ".." in PurePath(unit).parts:
                raise ValueError(f"unit {unit!r} is outside the run directory")
        return self
