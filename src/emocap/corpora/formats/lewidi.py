"""Learning with Disagreements (LeWiDi, Leonardelli et al. 2023 and 2025): texts with every annotator's own label.

One JSON object of items, each with `text` (parts by name, or one text), `annotators`, `annotations`, `split`, `lang`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.errors import EmocapError
from emocap.files import read_json

META_SUFFIX = "_annotators_meta.json"
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def is_lewidi(path: Path, start: bytes) -> bool:
    """Whether a file's first bytes indicate items of the task, or its name the description of annotators."""
    return (start.startswith(b"{") and b'"annotation task"' in start) or path.name.endswith(META_SUFFIX)


def read_lewidi(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per item; the parts of its text are joined by a space, and every annotator's labels are kept apart.

    Labels that are words, also several with commas between, are read as they are. Of labels 0 and 1, 1 is the task's
    name without "detection" (`irony` of "irony detection"), and 0 is none. An annotator who answered an item twice is
    one annotator with the labels of both answers. Explanations are read where each answer has one.

    Raises:
        EmocapError: images are given, not this layout, labels on a scale of numbers, or no usable item.
    """
    if images is not None:
        raise EmocapError(f"{images}: LeWiDi has no images; leave them out")
    items = read_json(path)
    if not isinstance(items, dict) or not any(isinstance(item, dict) and "text" in item for item in items.values()):
        raise EmocapError(f"{path}: contains no items with a text; give TASK_train.json or TASK_dev.json")
    answers_of = {item_id: _answers(item) for item_id, item in items.items()}
    labelled = (options is None or options.labels) and any(answers_of.values())
    if labelled:
        _require_words(path, answers_of.values())
    builder = PairsBuilder(path)
    languages: Counter[str] = Counter()
    for item_id, item in items.items():
        where = f"item {item_id}"
        text = _text(item)
        if text is None:
            builder.reject(where, "has no text")
        elif not labelled:
            builder.add(where, item_id, None, text, split=item.get("split"))
        elif not (answers := answers_of[item_id]):
            builder.reject(where, "has no annotations")
        elif (fault := _fault(item)) is not None:
            builder.reject(where, fault)
        else:
            _add(builder, where, item_id, text, item, answers)
        if isinstance(item, dict):
            languages[str(item.get("lang"))] += 1
    if len(languages) > 1:
        builder.notes.append("languages: " + ", ".join(f"{name} ({n})" for name, n in languages.most_common()))
    return builder.build()


def _add(
    builder: PairsBuilder, where: str, item_id: str, text: str, item: dict[str, Any], answers: list[tuple[str, str]]
) -> None:
    reasons = _explanations(item)
    for annotator, answer in answers:
        emotions = _labels(answer, str(item.get("annotation task", "")))
        given: dict[str, Any] = {"explanations": reasons[annotator]} if annotator in reasons else {}
        builder.add_rating(where, item_id, None, text, emotions, annotator or None, split=item.get("split"), **given)


def _text(item: Any) -> str | None:
    text = item.get("text") if isinstance(item, dict) else None
    if isinstance(text, Mapping):
        text = " ".join(str(part).strip() for part in text.values())
    return text if isinstance(text, str) else None


def _names(item: dict[str, Any]) -> list[str]:
    """The annotators in the order written; "" where one has no name."""
    text = str(item.get("annotators") or "").strip()
    return [name.strip() for name in text.split(",")] if text else []


def _answers(item: Any) -> list[tuple[str, str]]:
    """Annotator and answer; the first task (2023) has the answers in the order of the annotators."""
    given = item.get("annotations") if isinstance(item, dict) else None
    if isinstance(given, Mapping):
        return [(name, str(answer)) for name, answer in given.items()]
    if isinstance(given, str) and given.strip():
        return list(zip_longest(_names(item), given.split(","), fillvalue=""))
    return []


def _fault(item: dict[str, Any]) -> str | None:
    """Why it is unknown whose the answers of an item are; None where each annotator has one."""
    given = item["annotations"]
    if isinstance(given, Mapping):
        return None
    names, answers = _names(item), given.split(",")
    if len(names) != len(answers):
        return f"has {len(names)} annotators and {len(answers)} answers, expected one answer of each"
    return None if all(map(str.strip, answers)) else f"has an empty answer in {given!r}"


def _labels(answer: str, task: str) -> list[str]:
    words = [word.strip() for word in answer.split(",")]
    if words in (["0"], ["1"]):
        return [task.removesuffix("detection").strip() or "yes"] if words == ["1"] else []
    return [word for word in words if word]


def _explanations(item: dict[str, Any]) -> dict[str, list[str]]:
    """Annotator to explanations, where an item has one for each entry of its annotators."""
    other = item.get("other_info")
    texts = other.get("explanations") if isinstance(other, Mapping) else None
    names = _names(item)
    if not isinstance(texts, list) or len(texts) != len(names):
        return {}
    reasons: dict[str, list[str]] = {}
    for name, text in zip(names, texts, strict=True):
        reasons.setdefault(name, []).append(str(text))
    return reasons


def _require_words(path: Path, answers_of: Iterable[list[tuple[str, str]]]) -> None:
    numbers = {
        answer.strip()
        for answers in answers_of
        for _, answer in answers
        if _NUMBER.fullmatch(answer.strip()) and answer.strip() not in ("0", "1")
    }
    if numbers:
        lowest, highest = min(numbers, key=float), max(numbers, key=float)
        raise EmocapError(
            f"{path}: its labels are numbers on a scale, from {lowest} to {highest}, expected words or 0 and 1; decide "
            "what they mean and write a table with the columns caption, annotator and emotions"
        )
