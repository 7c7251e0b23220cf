"""Checks of a command's paths and options before anything heavy is imported, so that a mistake costs no waiting.

What is checked here is checked again by the library, which others call too.
"""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from emocap.errors import EmocapError

if TYPE_CHECKING:
    from emocap.api.model_folders import ModelSummary
    from emocap.study.config.study import StudyConfig

CAPTIONER = "captioner.json"
CAPTIONER_PLACES = (CAPTIONER, f"model/{CAPTIONER}", f"captioner/model/{CAPTIONER}")


def check_pair(model: Path, image: Path | None, caption: str) -> "ModelSummary":
    """Check the model, the image and the caption of a prediction.

    Raises:
        EmocapError: no model folder, no such image, a model that uses no images, an empty caption without an image, or
            no image for a model of images alone.
    """
    from emocap.api.caption_checks import check_caption
    from emocap.api.model_folders import caption_refused, image_refused, model_summary

    check_caption(caption, may_be_empty=image is not None)
    summary = model_summary(model)
    if image is not None:
        if not summary.uses_images and not caption:
            raise EmocapError(f"{image}: is a file, and {summary.folder} was trained on captions only; give a caption")
        if not summary.uses_images:
            raise EmocapError(image_refused(summary.folder))
        check_image(image)
    elif not summary.uses_captions:
        raise EmocapError(caption_refused(summary.folder))
    return summary


def check_image(image: Path) -> None:
    """Check that an image is there.

    Raises:
        EmocapError: there is no such file, or it is a web address.
    """
    if re.match(r"[a-z][a-z0-9+.-]+:/", str(image), re.IGNORECASE):
        raise EmocapError(f"{image}: is a web address; emocap fetches none, give the image's file")
    if not image.is_file():
        raise EmocapError(f"{image}: no such image")


class Ranker(NamedTuple):
    """What captions can be ranked by: its folder, its emotions, and whether it uses an image."""

    folder: Path
    labels: Sequence[str]
    uses_images: bool


def find_ranker(folder: Path) -> Ranker:
    """What captions can be ranked by: the folder itself if it has a captioner, else a model folder.

    Raises:
        EmocapError: there is neither.
    """
    from emocap.api.model_folders import model_summary

    if any((folder / place).is_file() for place in CAPTIONER_PLACES):
        return Ranker(folder, captioner_labels(folder), uses_images=True)
    summary = model_summary(folder)
    return Ranker(summary.folder, summary.labels, summary.uses_images)


def check_emotions(labels: Sequence[str], emotions: Iterable[str], avoid: Iterable[str] = ()) -> None:
    """Check that a model knows the requested emotions.

    Raises:
        EmocapError: it does not know one, or one is to be evoked and avoided.
    """
    from emocap.api.requested_emotions import emotion_indices

    emotion_indices(labels, list(emotions), list(avoid))


def check_target(summary: "ModelSummary", name: str | None) -> None:
    """Check that a model predicts the emotion or rating that is to be explained.

    Raises:
        EmocapError: it predicts neither an emotion nor a rating of this name.
    """
    from emocap.api.requested_emotions import output_index

    if name is not None:
        output_index(summary.labels, summary.ratings.names, name)


def captioner_labels(folder: Path) -> list[str]:
    """The emotions that a captioner can be asked for.

    Raises:
        EmocapError: there is no captioner.
    """
    from emocap.files import read_json

    place = next((folder / place for place in CAPTIONER_PLACES if (folder / place).is_file()), None)
    if place is None:
        raise EmocapError(
            f"{folder}: contains no captioner ({CAPTIONER}); give a run whose study has a captioner, or its "
            "captioner/model"
        )
    values = read_json(place)
    labels = values.get("labels") if isinstance(values, dict) else None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise EmocapError(f"{place}: names no emotions; restore the file")
    return labels


def check_style(folder: Path, style: str) -> None:
    """Check that a captioner knows the requested style.

    Raises:
        EmocapError: it does not, or knows none.
    """
    from emocap.files import read_json

    place = next((folder / place for place in CAPTIONER_PLACES if (folder / place).is_file()), None)
    values = None if place is None else read_json(place)
    known = values.get("styles", []) if isinstance(values, dict) else []
    if not isinstance(known, list) or style not in known:
        expected = f"expected one of {', '.join(map(str, known))}" if known else "but the captioner knows no styles"
        raise EmocapError(f"--style {style}: {expected}")


def check_extractor(name: str, settings: Mapping[str, Any]) -> None:
    """Check the name of an extractor and the names of its settings, without importing its module.

    Raises:
        EmocapError: one of them is unknown, or a setting is missing.
    """
    from emocap.regions.extractors.registry import AUTO, EXTRACTORS, extractor_and_settings

    name, settings = extractor_and_settings(name, settings)
    if name == AUTO:
        return
    module, _, attribute = EXTRACTORS[name].partition(":")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == attribute]
    methods = [node for each in classes for node in each.body if isinstance(node, ast.FunctionDef)]
    for arguments in [method.args for method in methods if method.name == "__init__"]:
        known = [argument.arg for argument in arguments.args[1:]]
        unknown = next((key for key in settings if key not in known), None)
        if unknown is not None:
            raise EmocapError(f"extractor {name}: unknown setting {unknown!r}, expected some of {', '.join(known)}")
        missing = [key for key in known[: len(known) - len(arguments.defaults)] if key not in settings]
        if missing:
            raise EmocapError(f"extractor {name}: setting {missing[0]!r} is missing")


def check_run(folder: Path) -> None:
    """Check that a folder is a run with results.

    Raises:
        EmocapError: no such folder, or its results are missing or damaged.
    """
    from emocap.report.files.run import read_results

    read_results(folder)


def check_corpora(config: "StudyConfig") -> None:
    """Check the files of a study's corpora, and the columns of tables.

    Raises:
        EmocapError: a file or folder is absent, or a table lacks a column.
    """
    from emocap.corpora.read import check_corpus

    for corpus in config.all_corpora:
        images = [config.data_root / folder for folder in corpus.image_folders]
        check_corpus(corpus.format, config.data_root / corpus.path, images or None, corpus.read_options())
        if corpus.store is not None and not (config.data_root / corpus.store).is_dir():
            raise EmocapError(f"{config.data_root / corpus.store}: no such feature store; extract it first")


def check_stage(until: str | None) -> None:
    """Check that some study has a stage, without importing the table of stages, whose functions need torch.

    Raises:
        EmocapError: no study has it.
    """
    from emocap.study.models import MODELS

    spec = find_spec("emocap.study")
    assert spec is not None, "it is a package of emocap"
    assert spec.submodule_search_locations, "it is a folder"
    table = Path(spec.submodule_search_locations[0]) / "stages" / "table.py"
    calls = [node for node in ast.walk(ast.parse(table.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    stages = [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Stage"]
    names = [str(name.value) for name in stages if isinstance(name, ast.Constant)]
    moved = [
        model.name for model in MODELS.values() if model.kind in ("study", "control") and model.starts_from in MODELS
    ]
    known = [*names, *moved, "report"]
    if until is not None and until not in known and not re.fullmatch(r"s\d+(_f\d+)?", until):
        raise EmocapError(f"--until {until}: no such stage; the stages are {', '.join(known)}")
