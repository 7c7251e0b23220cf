"""A row of the table of docs/METRICS.md, and other libraries' functions, imported only when they are called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

Cell = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """One input, and what libraries give on it.

    Attributes:
        case: the metric and the input.
        ours: emocap's value.
        others: by library, its value.
        why: the reason for emocap's.
    """

    case: str
    ours: Cell
    others: dict[str, Cell] = field(default_factory=dict)
    why: str = ""


def sk(name: str, *arguments: Any, **options: Any) -> Cell:
    """A function of scikit-learn's metrics."""
    return lambda: getattr(import_module("sklearn.metrics"), name)(*arguments, **options)


def tm(name: str, *arrays: Any, module: str = "classification", **options: Any) -> Cell:
    """A function of torchmetrics."""
    function = f"torchmetrics.functional.{module}"
    return lambda: getattr(import_module(function), name)(*map(tensor, arrays), **options)


def te(name: str, *arrays: Any, **options: Any) -> Cell:
    """A function of torcheval."""
    module = "torcheval.metrics.functional"
    return lambda: getattr(import_module(module), name)(*map(tensor, arrays), **options)


def trec(measure: str, scores: Sequence[float], truths: Any, names: Sequence[str] = ("awe", "joy", "sad")) -> Cell:
    """A measure of pytrec_eval for one query under each of several truths; names are those of the emotions."""

    def value(truth: np.ndarray) -> float:
        relevant = {"query": dict(zip(names, truth.tolist(), strict=True))}
        evaluator = import_module("pytrec_eval").RelevanceEvaluator(relevant, {measure})
        return evaluator.evaluate({"query": dict(zip(names, scores, strict=True))})["query"][measure]

    return lambda: [value(np.asarray(truth)) for truth in truths]


def each(
    function: Callable[..., Cell], name: str, truths: Any, *arrays: Any, first: bool = False, **options: Any
) -> Cell:
    """The values of a function for several truths, which it takes first or last."""
    return lambda: [function(name, *((t, *arrays) if first else (*arrays, t)), **options)() for t in truths]


def tensor(values: Any) -> Any:
    """Any array or list."""
    return import_module("torch").as_tensor(np.asarray(values))
