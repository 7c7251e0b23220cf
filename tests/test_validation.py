"""One line for the first validation error."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from emocap.validation import first_error


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    epochs: int = Field(1, ge=1)
    name: str = "a"

    @field_validator("name")
    @classmethod
    def _one_word(cls, value: str) -> str:
        if " " in value:
            raise ValueError("expected one word,\nnot several")
        return value


class Outer(BaseModel):
    teacher: Inner
    rates: list[float] = []
    images: Path | Annotated[list[Path], Field(min_length=1)] = Path()


def errors_of(values: object) -> list:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(values)
    return caught.value.errors()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"teacher": {"epochs": 0}}, "teacher.epochs: Input should be greater than or equal to 1, found 0"),
        ({"teacher": {"epoch": 3}}, "teacher.epoch: unknown key"),
        ({}, "teacher: Field required"),
        ({"teacher": {"name": "a b"}}, "teacher.name: expected one word, not several, found 'a b'"),
        (
            {"teacher": {}, "images": []},
            "images: Input is not a valid path for <class 'pathlib.Path'>, found [] (and 1 more)",
        ),
        ({"teacher": {}, "rates": [1, None]}, "rates.1: Input should be a valid number, found None"),
        (
            {"teacher": {"epochs": 0, "x": 1}},
            "teacher.epochs: Input should be greater than or equal to 1, found 0 (and 1 more)",
        ),
    ],
)
def test_names_the_place_and_the_problem(values: object, expected: str) -> None:
    assert first_error(errors_of(values)) == expected


def test_hides_a_private_value() -> None:
    assert "secret" not in first_error(errors_of({"teacher": {"epochs": "secret"}}), show_input=False)
    assert "'secret'" in first_error(errors_of({"teacher": {"epochs": "secret"}}))


def test_gives_places_the_names_users_know() -> None:
    errors = errors_of({"teacher": {"epoch": 3}})
    assert first_error(errors, names={"teacher": "model.teacher"}) == "model.teacher.epoch: unknown key"
    assert first_error(errors, skip=1) == "epoch: unknown key"
    assert first_error(errors, skip=2) == "unknown key"


def test_stays_one_short_line() -> None:
    line = first_error(errors_of({"teacher": {"x" * 500: 1}}))
    assert len(line) < 130
    line = first_error(errors_of({"teacher": {"name": "a\n b" * 500}}))
    assert "\n" not in line
    assert len(line) < 160
