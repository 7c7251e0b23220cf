"""Reading a study's YAML: overrides, limits, and one clear line for the first fault."""

import contextlib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from emocap.errors import EmocapError
from emocap.files import read_text
from emocap.study.config.study import StudyConfig
from emocap.validation import first_error

MOST_NODES = 10_000
MERGE = "tag:yaml.org,2002:merge"


def load_config(path: Path, overrides: list[str] | None = None) -> StudyConfig:
    """Read and validate a study.

    Args:
        path: YAML file.
        overrides: "a.b=value" with the value in YAML, put over the file's.

    Raises:
        EmocapError: not YAML, an unknown or contradictory key; one line that names it.
    """
    values = _yaml(read_text(path), str(path))
    if not isinstance(values, dict):
        raise EmocapError(f"{path}: holds {type(values).__name__}, expected keys such as 'target:'")
    for override in overrides or ():
        _override(values, override)
    try:
        return StudyConfig.model_validate(values)
    except ValidationError as error:
        raise EmocapError(f"{path}: {first_error(error.errors())}; see docs/STUDY.md for all keys") from None


def settings_from(overrides: list[str] | None) -> dict[str, Any]:
    """Settings given as "key=value", the values in YAML.

    Raises:
        EmocapError: no key, or a value that is not YAML.
    """
    values: dict[str, Any] = {}
    for override in overrides or ():
        _override(values, override)
    return values


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which refuses a mapping that has a key twice; the standard one takes the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """The mapping as it is written, before merges (`<<`), whose keys may be given again."""
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != MERGE):
            name = (key.tag, key.value)
            if name in lines:
                problem = f"the key {key.value!r} is there twice, first in line {lines[name]}; remove one"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            lines[name] = key.start_mark.line + 1
        return node


def _yaml(text: str, where: str) -> Any:
    try:
        return _unshared(yaml.load(text, _Loader), [MOST_NODES])  # noqa: S506  a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise EmocapError(
            f"{where}: not valid YAML{place}: {getattr(error, 'problem', None) or 'unreadable'}"
        ) from None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise EmocapError(f"{where}: not valid YAML: a value cannot be read ({type(error).__name__})") from None


def _unshared(value: Any, left: list[int]) -> Any:
    """A copy in which parts that YAML's anchors made one are apart, so that changing one leaves the others."""
    left[0] -= 1
    if left[0] < 0:
        raise ValueError("too many nodes")
    if isinstance(value, dict):
        return {key: _unshared(inner, left) for key, inner in value.items()}
    return [_unshared(inner, left) for inner in value] if isinstance(value, list) else value


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise EmocapError(f"--set {override}: expected KEY.KEY=VALUE, such as --set teacher.epochs=2")
    value = _yaml(text, f"--set {override:.80}")
    if isinstance(value, str):  # YAML 1.1 reads 5e-5 as text
        with contextlib.suppress(ValueError):
            value = float(value)
    for name in names[:-1]:
        inner = values.get(name)
        if inner is None:
            inner = values[name] = {}
        if not isinstance(inner, dict):
            raise EmocapError(f"--set {override}: {name} is {inner!r}, which has no keys below it")
        values = inner
    values[names[-1]] = value
