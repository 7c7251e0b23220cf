"""Socratis (Deng et al. 2023, arXiv 2308.16741): the official JSON with separate annotators, and its flattened CSV."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder, is_text
from emocap.corpora.table import read_table
from emocap.emotions import ABSENT, clean_emotion
from emocap.errors import EmocapError
from emocap.files import read_json

_JSON_START = re.compile(rb'\{\s*"[^"]*"\s*:\s*\[\s*\[')
_JSON_NAME = "imCaptionEmotionExplanation"


def is_socratis_json(path: Path, start: bytes) -> bool:
    """Whether a file's first bytes indicate an object of lists of annotators, or its name the official release."""
    return bool(_JSON_START.match(start)) or (path.name.startswith(_JSON_NAME) and start.startswith(b"{"))


def read_socratis_json(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """The official `imCaptionEmotionExplanation_formatted.json`.

    Every pair id has one list per annotator: image, caption, emotions, explanations, demographics. The pairs'
    emotions are the cleaned words of all annotators; each annotator's own words are in `annotations`.

    Raises:
        EmocapError: not JSON, not an object, or no usable pair.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise EmocapError(f"{path}: contains {type(values).__name__}, expected an object of pair ids (Socratis JSON)")
    builder = PairsBuilder(path, images)
    labelled = options is None or options.labels
    for pair_id, entries in values.items():
        _add_pair(builder, pair_id, entries, labelled=labelled)
    return builder.build(open_vocabulary=True)


def _add_pair(builder: PairsBuilder, pair_id: str, entries: Any, *, labelled: bool) -> None:
    where = f"pair {pair_id}"
    if not isinstance(entries, list) or not entries:
        builder.reject(where, "is not a list of annotators")
        return
    annotations: list[dict[str, Any]] = []
    usable: list[list[Any]] = []
    for number, entry in enumerate(entries, 1):
        fault = _fault(entry, usable[0] if usable else None, labelled=labelled)
        if fault:
            builder.reject(f"{where}, annotator {number}", fault)
        else:
            usable.append(entry)
            annotations += [_annotation(entry)] if labelled else []
    if not usable:
        return
    image, caption = usable[0][0], usable[0][1]
    if not labelled:
        builder.add(where, pair_id, image, caption)
        return
    words = {clean_emotion(word) for entry in usable for word in entry[2]}
    builder.add(where, pair_id, image, caption, [word for word in words if word], annotations)


def _fault(entry: Any, first: list[Any] | None, *, labelled: bool) -> str | None:
    if not isinstance(entry, list) or len(entry) < (3 if labelled else 2):
        return "entry is not a list of image, caption and emotions"
    if not isinstance(entry[0], str) or not isinstance(entry[1], str):
        return f"image and caption are {type(entry[0]).__name__} and {type(entry[1]).__name__}, expected text"
    if first is not None and entry[:2] != first[:2]:
        return "image or caption differs from that of the pair's first annotator"
    if labelled and (not isinstance(entry[2], list) or not all(word is None or is_text(word) for word in entry[2])):
        return f"emotions are {type(entry[2]).__name__}, expected a list of words"
    return None


def _annotation(entry: list[Any]) -> dict[str, Any]:
    explanations = entry[3] if len(entry) > 3 and isinstance(entry[3], list) else []
    person = entry[4] if len(entry) > 4 and isinstance(entry[4], dict) else {}
    ethnicity = person.get("ethnicity")
    groups = [group[0] for group in ethnicity if _applies(group)] if isinstance(ethnicity, list) else []
    return {
        "emotions": [word for word in entry[2] if word is not None],
        "explanations": [text if is_text(text) else None for text in explanations],
        **{key: _present(person.get(key)) for key in ("age", "gender", "education")},
        "ethnicity": groups or None,
    }


def _applies(group: Any) -> bool:
    """Whether `["White", "true"]` is true; a group without a value was listed because it applies."""
    return isinstance(group, list) and bool(group) and is_text(group[0]) and str(group[-1]).strip().lower() != "false"


def _present(value: Any) -> str | None:
    return value if is_text(value) and value.strip().lower() not in ABSENT else None


def read_socratis_csv(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """The flattened CSV: `image_name,caption,emotions`; the last is a Python list literal.

    Raises:
        EmocapError: not a CSV with these columns, or no usable row.
    """
    options = options or ReadOptions()
    return read_table(path, images, replace(options, columns={"image": "image_name"} | dict(options.columns)))
