"""The gallery: the test pairs that the model ranked best and worst, with thumbnails of their images."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import label_ranking_average_precision_score

from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.evaluation.scored_predictions import ranking
from emocap.files import atomic_folder, write_json
from emocap.regions.images import open_image

IMAGES_EACH = 8
LONGEST_SIDE = 320
LEAST_EMOTIONS = 5  # predicted ones of a pair, more where it has more true ones


def write_gallery(
    run: Path, model: str, test: Pairs, probabilities: np.ndarray, targets: np.ndarray, vocabulary: Vocabulary
) -> None:
    """Write `gallery.json` and `gallery/`, as `docs/RUN_DIR.md` describes them.

    Pairs without any emotion are not shown: no ranking of theirs is right or wrong. A pair that is ranked without an
    error is not among the worst.

    Args:
        run: the run directory.
        model: name of the model whose predictions are shown.
        test: N pairs.
        probabilities: (N, E) of that model.
        targets: (N, E) of 0 and 1.
        vocabulary: E emotions.
    """
    precision = np.zeros(len(test))
    if len(vocabulary):
        precision[:] = [
            label_ranking_average_precision_score(targets[[i]], probabilities[[i]]) for i in range(len(test))
        ]
    likelihood = np.where(targets > 0, np.log(probabilities + 1e-9), np.log(1 - probabilities + 1e-9)).sum(axis=1)
    order = np.lexsort((-likelihood, -targets.sum(axis=1), -precision))
    order = order[(targets[order] > 0).any(axis=1)]
    n = min(IMAGES_EACH, len(order) // 2)
    worst = [row for row in order[::-1][:n] if precision[row] < 1]
    chosen = {"best": list(order[:n]), "worst": worst}
    value: dict[str, Any] = {"schema": 1, "model": model}
    with atomic_folder(run / "gallery") as folder:
        for kind, rows in chosen.items():
            value[kind] = [
                _entry(test, int(row), probabilities[row], targets[row], vocabulary, folder, f"{kind}-{number:02d}.jpg")
                | {"average_precision": round(float(precision[row]), 4)}
                for number, row in enumerate(rows, 1)
            ]
    write_json(run / "gallery.json", value)


def _entry(
    test: Pairs, row: int, p: np.ndarray, target: np.ndarray, vocabulary: Vocabulary, folder: Path, name: str
) -> dict[str, Any]:
    labels = vocabulary.labels
    image = test.images[row]
    n_shown = max(LEAST_EMOTIONS, int((target > 0).sum()))
    return {
        "pair_id": test.pair_ids[row],
        "image": f"gallery/{name}" if thumbnail(test.image_root, image, folder / name) else None,
        "caption": test.captions[row],
        "true": [label for label, value in zip(labels, target, strict=True) if value > 0],
        "predicted": [[labels[i], round(float(p[i]), 4)] for i in ranking(p[None])[0][:n_shown]],
    }


def thumbnail(root: Path | None, image: str, path: Path) -> bool:
    """Write a small JPEG of an image; returns False where the image is missing or cannot be decoded."""
    if root is None or not image:
        return False
    try:
        opened = open_image(root / image)
    except EmocapError:  # reported when its features were extracted
        return False
    opened.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    opened.save(path, quality=85)
    return True
