"""The public interface and the dependencies as text: `make snapshots` writes them, a test compares them.

python tests/snapshots/write.py
"""

import dataclasses
import inspect
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import typer
from pydantic import BaseModel
from typer.models import ArgumentInfo

import emocap
from emocap.api.predictor import ImageInput
from emocap.app.limits import Limits
from emocap.app.metrics import Metrics
from emocap.app.rest import build_rest
from emocap.cli.main import app
from emocap.study.config.study import StudyConfig

FOLDER = Path(__file__).parent


def interface() -> str:
    """Every public name with its signature: Python, command line, REST, YAML keys."""
    parts = {"Python": python_names(), "Command line": cli_options(), "REST": rest_routes(), "YAML keys": yaml_keys()}
    return "\n".join(f"# {title}\n\n" + "\n".join(lines) + "\n" for title, lines in parts.items())


def python_names() -> Iterator[str]:
    for name in emocap.__all__:
        value = getattr(emocap, name)
        yield f"emocap.{name}{_signature(value)}"
        own = [base for base in value.__mro__ if base.__module__.partition(".")[0] == "emocap"]
        members = {key: member for base in reversed(own) for key, member in vars(base).items()}
        for key, member in sorted(members.items()):
            if not key.startswith("_") and (callable(member) or isinstance(member, classmethod | property)):
                function = member.__func__ if isinstance(member, classmethod) else member
                yield f"emocap.{name}.{key}{'' if isinstance(member, property) else _signature(function)}"
        if dataclasses.is_dataclass(value):
            yield from (f"emocap.{name}.{field.name}: {field.type}" for field in dataclasses.fields(value))


def _signature(value: Any) -> str:
    try:
        text = str(inspect.signature(value)).replace("'", "")
    except ValueError:
        return "(...)"
    text = text.replace(str(ImageInput), "ImageInput")
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", text)


def cli_options() -> Iterator[str]:
    yield from _commands(app, "emocap")


def _commands(group: typer.Typer, name: str) -> Iterator[str]:
    if group.registered_callback is not None:
        yield " ".join([name, *_options(group.registered_callback.callback)])
    for command in sorted(group.registered_commands, key=_command_name):
        yield " ".join([name, _command_name(command), *_options(command.callback)])
    for inner in group.registered_groups:
        yield from _commands(inner.typer_instance, f"{name} {inner.name}")


def _command_name(command: Any) -> str:
    return command.name or command.callback.__name__.replace("_", "-")


def _options(callback: Any) -> Iterator[str]:
    for name, parameter in inspect.signature(callback).parameters.items():
        kind, declared = get_args(parameter.annotation)
        text = re.sub(r"<class '|'>|\b\w+\.| \| None", "", str(kind))
        first = [declared.default] if isinstance(declared.default, str) else []  # where `Annotated` leaves it
        names = [name.upper()] if isinstance(declared, ArgumentInfo) else [*first, *declared.param_decls]
        shown = "/".join(names) + ("" if text == "bool" else f" {text}")
        yield shown if parameter.default is parameter.empty else f"[{shown}]"


def rest_routes() -> Iterator[str]:
    document = build_rest(SimpleNamespace(limits=Limits()), Metrics()).openapi()
    for path, methods in sorted(document["paths"].items()):
        for method, route in methods.items():
            body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            answers = ", ".join(f"{status} {_type(_schema(answer))}" for status, answer in route["responses"].items())
            yield f"{method.upper()} {path} {_type(body)} -> {answers}".replace("  ", " ")
    for name, schema in sorted(document["components"]["schemas"].items()):
        required = set(schema.get("required", []))
        for key, value in schema.get("properties", {}).items():
            yield f"{name}.{key}{'' if key in required else '?'}: {_type(value)}"


def _schema(answer: dict[str, Any]) -> dict[str, Any]:
    return answer.get("content", {}).get("application/json", {}).get("schema", {})


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[1]
    if "anyOf" in schema:
        return " | ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"[{_type(schema.get('items', {}))}]"
    return str(schema.get("type", ""))


def yaml_keys() -> Iterator[str]:
    yield from _keys(StudyConfig, "")


def _keys(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        key = prefix + (field.alias or name)
        kinds = dict.fromkeys(_kinds(field.annotation))  # of one section or a list of them, the section once
        sections = [kind for kind in kinds if issubclass(kind, BaseModel)]
        default = "required" if field.is_required() else _default(field)
        yield f"{key}: {default}"
        for inner in sections:
            which = f"{key}({inner.model_fields['name'].default})." if len(sections) > 1 else f"{key}."
            yield from _keys(inner, which)


def _kinds(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "..."
    return json.dumps(value, default=str)


def dependencies() -> str:
    """What each extra installs directly."""
    project = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"emocap": project["dependencies"]}
    groups |= {f"emocap[{extra}]": packages for extra, packages in project["optional-dependencies"].items()}
    return "\n".join(f"# {name}\n\n" + "\n".join(sorted(packages)) + "\n" for name, packages in groups.items())


SNAPSHOTS = {"api.txt": interface, "dependencies.txt": dependencies}

if __name__ == "__main__":
    for file, build in SNAPSHOTS.items():
        (FOLDER / file).write_text(build(), encoding="utf-8")
