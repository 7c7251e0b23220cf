"""One point of a learning curve: a model trained on some of a unit's training pairs, and its test predictions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from emocap.errors import EmocapError
from emocap.files import write_array
from emocap.study.stages.baselines import fit, predict
from emocap.study.stages.teacher import fit_teacher
from emocap.study.training_unit import TrainingUnit

TEST = "test_probabilities.npy"


def nested_rows(
    rows: np.ndarray, groups: Sequence[str], shares: Sequence[float], seed: Sequence[int]
) -> list[np.ndarray]:
    """The rows of each share: whole groups in a random order, so that a larger share has all of a smaller one.

    Args:
        rows: (N,) of the training pairs.
        groups: the group of each pair of the table, which is never divided.
        shares: above 0, at most 1.
        seed: of the order.

    Returns:
        Ascending rows for each share: as many groups as fit into it, and at least one.

    >>> [part.tolist() for part in nested_rows(np.arange(4), ["a", "a", "b", "b"], [0.5, 1.0], [0])]
    [[0, 1], [0, 1, 2, 3]]
    """
    distinct = sorted({groups[row] for row in rows})
    place = {distinct[number]: at for at, number in enumerate(np.random.default_rng(seed).permutation(len(distinct)))}
    places = np.array([place[groups[row]] for row in rows])
    ends = np.cumsum(np.bincount(places, minlength=len(distinct)))
    counts = [max(1, int(np.searchsorted(ends, round(share * len(rows)), side="right"))) for share in shares]
    return [rows[places < count] for count in counts]


def learning_curve_point(study: TrainingUnit, name: str, model: str, rows: np.ndarray) -> None:
    """Train a model on these rows of the target, and write its probabilities for the unit's test pairs.

    The validation pairs are those of the unit at every size: they select the baseline's setting or the teacher's epoch.

    Args:
        study: the unit with all its training pairs.
        name: of the point, and of its folder below the unit's.
        model: "teacher" or a baseline.
        rows: row numbers of the training pairs.

    Raises:
        EmocapError: there is nothing to learn from these rows.
    """
    point = replace(study)
    point.rows = {**study.rows, "train": rows}
    if not point.truth("train").any():
        raise EmocapError(f"curve: none of {len(rows)} training pairs has an emotion; use more data")
    if study.models[model].kind != "baseline":
        fit_teacher(point, name, point.seed, keep_model=False)
        return
    write_array(point.run / name / TEST, predict(point, fit(point, model), "test"))
