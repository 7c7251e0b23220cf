"""The one reader of label cells: all notations that common tools write, and errors that show what cannot be read."""

import ast
import csv
import html
import json
import math
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from emocap.corpora.options import NO_SEPARATOR
from emocap.errors import EmocapError

MAX_CELL_CHARS = 10_000
MAX_LABEL_CHARS = 100
SHOWN_CHARS = 60
ABSENT_TEXTS = frozenset({"", "nan", "none", "null", "na", "n/a", "<na>", "nat"})
CERTAIN_SEPARATORS = ("|", ";", "\n", "\t", "、", "，", "；")  # the last three are those of Chinese and Japanese
# What also stands for no label, besides `ABSENT_TEXTS`: of spreadsheets, MySQL and R, and dashes.
ABSENT_LABELS = ABSENT_TEXTS | {"#n/a", "\\n", "n.a.", "n.a", "-", "--", "?", ".", "character(0)", '""', "''"}
YES = frozenset({"true", "yes", "y", "t", "x", "✓", "✔", "wahr", "ja", "verdadero", "sí", "vrai", "oui"})
NO = frozenset({"", "false", "no", "n", "f", "falsch", "nein", "falso", "faux", "non"})
ANSWERS = frozenset({"true", "false", "yes", "no"})  # to a question that the cell does not state
LIST_KEYS = ("choices", "labels", "label", "emotions")  # of an object that holds nothing but the list

_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_ITEM = re.compile(rf"(?:np\.str_\(|numpy\.str_\()?[uUbB]?({_QUOTED})\)?|\b(?:nan|NaN|None|null|NULL)\b")
_ARRAY = re.compile(
    r"^(?:np\.|numpy\.)?(?:array|set|frozenset|list|tuple|c|Counter|OrderedDict|Index|WrappedArray|ArraySeq|ArrayBuffer|"
    r"Vector|Set|List|Seq)\((.*?)"
    r"(?:,\s*dtype=.*)?,?\)$",
    re.DOTALL,
)
_STRAIGHT = str.maketrans("“”„‘’", '"""\'\'')
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u2060"))  # byte-order marks and joiners within a text
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
_NUMPY_NUMBER = re.compile(r"(?:np|numpy)\.(?:float|int)\d+\(([^()]*)\)")
_NAN = re.compile(rf"({_QUOTED})|\bnan\b")
# Texts without quotes that are no label: a number, a word with its score, a call, or the remains of a list.
_ODD = re.compile(
    r"[-+]?\d[\d.,]*(e[-+]?\d+)?\s*%?|.*[:=(]\s*[-+]?\d*\.?\d+\)?|.*\w\(.*|.*[\[\]{}<>].*|.*://.*|\d{4}-\d\d-\d\d.*|"
    r"#[A-Z0-9/]+[!?]|\?+|dtype: .*|.*[\x00-\x1f].*",
    re.IGNORECASE | re.DOTALL,
)
_WRAPPED = {"[": "]", "(": ")", "{": "}"}


class LabelFault(ValueError):
    """What is wrong with one cell of labels, in words."""


def is_absent(value: Any) -> bool:
    """Whether a cell is empty or what a tool writes for a missing value: None, NaN, or their names as text.

    >>> is_absent(float("nan")), is_absent(" NaN "), is_absent("nothing")
    (True, True, False)
    """
    if value is None:
        return True
    if isinstance(value, str):
        return len(value) < 16 and (value in ABSENT_TEXTS or value.strip().lower() in ABSENT_TEXTS)
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    return type(value).__name__ in ("NAType", "NaTType")  # pandas, without importing it


class LabelReader:
    """Reads the label cells of one corpus.

    Args:
        separator: between the labels of a text; "none" if a text is one label; None accepts `|` and `;`.
        threshold: the least score of a label that counts as named.

    Attributes:
        max_score: the largest score that was read.
    """

    def __init__(self, separator: str | None = None, threshold: float = 0.5) -> None:
        self.separator = separator
        self.threshold = threshold
        self.max_score = 0.0
        self._texts: dict[str, list[str]] = {}

    def read(self, cell: Any) -> list[str]:
        """The stripped labels of one cell in their order, without repeats; [] for an empty cell or a missing value.

        A text is a JSON, Python, numpy or Postgres list, tuple or set, an object of scores, or labels between
        separators. Other cells are lists, tuples, sets or arrays of texts, objects of scores, or lists of objects with
        `label` and `score`.

        >>> reader = LabelReader()
        >>> reader.read("joy|calm"), reader.read("['joy' 'awe']"), reader.read({"joy": 1, "awe": 0})
        (['joy', 'calm'], ['joy', 'awe'], ['joy'])

        Raises:
            LabelFault: the cell is none of these; the message shows it.
        """
        if isinstance(cell, str):
            if cell not in self._texts:
                self._texts[cell] = self._labels(self._parse(cell), cell)
            return self._texts[cell]
        return self._labels(cell, cell)

    def _labels(self, value: Any, cell: Any) -> list[str]:
        if is_absent(value):
            return []
        value = _plain(value)
        if isinstance(value, Mapping):
            words = [name for name, score in value.items() if self._is_named(score, cell)]
        elif isinstance(value, list | tuple | set | frozenset):
            present = [item for item in value if not is_absent(item) or isinstance(item, str)]
            words = [self._word(item, cell) for item in present if not _is_low(item, self.threshold)]
        else:
            raise LabelFault(f"emotions are {_shown(cell)}, expected words, such as joy|calm")
        if not all(isinstance(word, str) for word in words):
            raise LabelFault(f"emotions {_shown(cell)} contain what is not a word, expected a list of words")
        if words and not any(word.strip() for word in words):
            return []  # what splitting an empty text gives
        if not all(word.strip() for word in words):
            raise LabelFault(f"emotions {_shown(cell)} contain an empty word")
        if self.separator != NO_SEPARATOR and any(mark in word for word in words for mark in CERTAIN_SEPARATORS):
            raise LabelFault(f"emotions {_shown(cell)} contain a separator within a word; give label_separator 'none'")
        return list(dict.fromkeys(word.strip() for word in words if not is_absent(word)))

    def _word(self, item: Any, cell: Any) -> Any:
        if isinstance(item, Mapping):
            if "label" not in item:
                raise LabelFault(f"emotions {_shown(cell)} contain an object without a 'label'")
            return item["label"]
        return str(item) if isinstance(item, np.str_) else item

    def _is_named(self, score: Any, cell: Any) -> bool:
        if isinstance(score, str | bool | np.bool_):
            value = as_binary(score)
        else:
            value = float(score) if isinstance(score, int | float | np.number) else None
        if score is None or (value is not None and math.isnan(value)):
            return False
        if value is None:
            raise LabelFault(f"emotions {_shown(cell)} have the score {score!r}, expected numbers")
        self.max_score = max(self.max_score, value)
        return value >= self.threshold

    def _parse(self, text: str) -> Any:
        stripped = text.translate(_INVISIBLE).strip()
        if len(text) > MAX_CELL_CHARS:
            raise LabelFault(f"emotions have {len(text):,} characters, at most {MAX_CELL_CHARS:,} are read")
        if stripped.lower() in ABSENT_LABELS:
            return []
        if "&" in stripped:
            stripped = html.unescape(stripped)
        if stripped[0] in _WRAPPED or _ARRAY.match(stripped):
            return _structure(stripped)
        if (words := _quoted_words(stripped)) is not None:
            return self._parse(words[0]) if len(words) == 1 and "," in words[0] else words
        words = split_text(stripped, self.separator)
        if (odd := next((word for word in words if _is_odd(word)), None)) is not None:
            raise LabelFault(f"emotions {_shown(text)} contain {_shown(odd)}, expected words, such as joy|calm")
        return words


def split_text(text: str, separator: str | None) -> list[str]:
    """The labels of a text between separators; one separator may end it.

    Raises:
        LabelFault: it contains two of the separators that are always accepted, or an empty label.
    """
    if separator is None:
        present = [mark for mark in CERTAIN_SEPARATORS if mark in text]
        if len(present) > 1:
            both = " and ".join(map(repr, present))
            raise LabelFault(f"emotions {_shown(text)} contain {both}, expected one separator; give label_separator")
        separator = present[0] if present else NO_SEPARATOR
    if separator == NO_SEPARATOR:
        return [text]
    words = text.split() if separator.isspace() and separator not in CERTAIN_SEPARATORS else text.split(separator)
    words = [word.strip().removeprefix("- ") if separator == "\n" else word.strip() for word in words]  # YAML's dash
    if len(words) > 1 and not words[-1]:
        words.pop()
    return words[1:] if len(words) > 1 and not words[0] else words


def detect_separator(cells: Iterable[Any], where: str) -> str | None:
    """ "," if the cells of a column are lists joined by commas, else None.

    A comma separates where the pieces of cells with commas are single words or occur in other cells too, and no cell
    has another separator.

    Raises:
        EmocapError: it cannot be told whether a comma separates labels.
    """
    texts = {cell.strip() for cell in cells if isinstance(cell, str)}
    plain = [text for text in texts if text and text[0] not in _WRAPPED and not _ARRAY.match(text)]
    with_comma = [text for text in plain if "," in text]
    if not with_comma:
        return None
    pieces = {text: {piece.strip() for piece in text.split(",")} for text in plain}
    count = Counter(piece for words in pieces.values() for piece in words)
    unclear = [
        text
        for text in with_comma
        if any(len(piece.split()) > 1 for piece in pieces[text]) and all(count[piece] < 2 for piece in pieces[text])
    ]
    if any(mark in text for text in plain for mark in CERTAIN_SEPARATORS):
        unclear = with_comma
    if not unclear:
        return ","
    raise EmocapError(
        f"{where}: emotions {_shown(min(unclear))} may be one label or several; give label_separator, such as ',' or "
        "'none'"
    )


def as_binary(value: Any) -> float | None:
    """0 or 1 of a cell that says no or yes, else the number that it is, else None.

    >>> as_binary("1"), as_binary("False"), as_binary(True), as_binary("0.7"), as_binary("joy")
    (1.0, 0.0, 1.0, 0.7, None)
    """
    if isinstance(value, str):
        text = value.strip().lower()
        if text in YES or text in NO:
            return float(text in YES)
        number, percent = text.removesuffix("%").strip(), text.endswith("%")
        if _DECIMAL_COMMA.fullmatch(number):
            number = number.replace(",", ".")
        try:
            return float(number) / (100 if percent else 1)
        except ValueError:
            return None
    if value is None:
        return 0.0
    return float(value) if isinstance(value, bool | int | float | np.number | np.bool_ | Decimal) else None


def _is_odd(word: str) -> bool:
    is_list = len(word) > 1 and word[0] in "'\"“‘" and word[-1] in "'\"”’"
    return is_list or len(word) > MAX_LABEL_CHARS or word.lower() in ANSWERS or _ODD.fullmatch(word) is not None


def _plain(value: Any) -> Any:
    """A list or an object of scores, also of the forms in which labelling tools and classifiers give them."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        if len(value) == 1 and isinstance(only := next(iter(value.values())), list) and set(value) <= set(LIST_KEYS):
            return only
        if set(value) == {"label", "score"} and isinstance(value["label"], str):
            return [value]
        labels, scores = value.get("labels"), value.get("scores")
        if len(value) == 2 and isinstance(labels, list) and isinstance(scores, list) and len(labels) == len(scores):
            return dict(zip(labels, scores, strict=True))
    is_scored = (
        isinstance(value, list | tuple)
        and bool(value)
        and all(
            isinstance(item, list | tuple)
            and len(item) == 2
            and isinstance(item[0], str)
            and isinstance(item[1], int | float)
            for item in value
        )
    )
    return dict(value) if is_scored else value


def _is_low(item: Any, threshold: float) -> bool:
    """Whether an item is an object with a score below the threshold."""
    score = as_binary(item["score"]) if isinstance(item, Mapping) and item.get("score") is not None else None
    return score is not None and not score >= threshold


def _structure(text: str) -> Any:
    """The value of a text in brackets."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    inner = text.translate(_STRAIGHT)
    while (match := _ARRAY.match(inner)) is not None:
        inner = match.group(1).strip()
    if not inner:
        return []
    if inner != text.translate(_STRAIGHT) and inner[0] not in _WRAPPED:
        inner = f"[{inner}]"  # a call with the labels as its arguments
    if inner[0] not in _WRAPPED or inner[-1] != _WRAPPED[inner[0]]:
        raise LabelFault(f"emotions {_shown(text)} are not a whole list, such as ['joy', 'calm']")
    if (words := _quoted_words(inner[1:-1])) is not None:
        return words
    value = _literal(_NAN.sub(lambda match: match.group(1) or "None", _NUMPY_NUMBER.sub(r"\1", inner)))
    if value is not None and not isinstance(value, str):
        return value
    one_line = " ".join(inner[1:-1].split())
    words = next(csv.reader([one_line], skipinitialspace=True), [])  # as Postgres, Spark and Java print lists
    scores = [word.rpartition("=") for word in words]
    if words and all(name and as_binary(score) is not None for name, _, score in scores):
        return {name: score for name, _, score in scores}  # as Java prints a map
    unclear = len(words) == 1 and len(words[0].split()) > 1
    if unclear or any(mark in word for word in words for mark in "[](){}'\":|;\n"):
        raise LabelFault(f"emotions {_shown(text)} cannot be read as a list, such as ['joy', 'calm']")
    return words


def _quoted_words(inner: str) -> list[str] | None:
    """Quoted words with commas between all of them, or spaces only, as numpy prints them; None if it is not that.

    A missing value without quotes is "nan", which is no label.
    """
    words, gaps, position = [], [], 0
    for match in _ITEM.finditer(inner):
        gaps.append(inner[position : match.start()].strip())
        words.append("nan" if match.group(1) is None else _literal(match.group(1)))
        position = match.end()
    tail = inner[position:].strip()
    if not words or gaps[0] or tail not in ("", ",") or None in words:
        return None
    return words if set(gaps[1:]) in (set(), {","}, {""}) else None


def _literal(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes such as "\\d" are allowed in a word
            return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _shown(cell: Any) -> str:
    text = repr(cell)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."
