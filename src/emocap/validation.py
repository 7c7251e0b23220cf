"""The first of pydantic's validation errors, as one line for people."""

from collections.abc import Mapping, Sequence
from typing import Any

MAX_PLACE = 100
MAX_INPUT = 80


def first_error(
    errors: Sequence[Any],
    *,
    skip: int = 0,
    names: Mapping[str, str] | None = None,
    show_input: bool = True,
) -> str:
    """The first error as "where: message", and how many more there are.

    Args:
        errors: as pydantic's `ValidationError.errors()` gives them, or FastAPI's `RequestValidationError.errors()`.
        skip: leading parts of the location to leave out, such as FastAPI's "body".
        names: what to call a location's first part, where users know it by another name.
        show_input: whether to quote the rejected value; False where it may be private.

    >>> first_error([{"loc": ("teacher", "epochs"), "type": "greater_than", "msg": "Input should be > 0", "input": 0}])
    'teacher.epochs: Input should be > 0, found 0'
    """
    error = errors[0]
    parts = [str(part) for part in error["loc"][skip:] if "[" not in str(part)]  # pydantic's names of union members
    if names is not None and parts:
        parts[0] = names.get(parts[0], parts[0])
    place = ".".join(parts)[:MAX_PLACE]
    message = "unknown key" if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
    if show_input and error["type"] not in ("extra_forbidden", "missing") and not isinstance(error["input"], dict):
        message += f", found {repr(error['input'])[:MAX_INPUT]}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return " ".join(f"{place + ': ' if place else ''}{message}{more}".split())
