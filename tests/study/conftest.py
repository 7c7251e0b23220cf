"""A whole study small enough for a test: words and the brightness of images determine the emotions."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

FILLERS = [
    "a",
    "the",
    "dog",
    "cat",
    "child",
    "boat",
    "sits",
    "runs",
    "in",
    "by",
    "of",
    "is",
    "at",
    "field",
    "sea",
    "quiet",
]


def caption_of(rng: np.random.Generator, happy: bool) -> str:
    words = [*rng.choice(FILLERS, 4), "celebrates" if happy else "lost"]
    return " ".join(rng.permutation(words))


@pytest.fixture(scope="session")
def tiny_corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 labelled pairs as a table, 80 images of 2 captions as COCO, 90 texts of other labels; an image is corrupt."""
    root, rng = tmp_path_factory.mktemp("corpora"), np.random.default_rng(0)
    rows = []
    for number in range(120):
        happy, awe = rng.random() < 0.6, rng.random() < 0.4
        draw(root / "target" / f"{number}.jpg", rng, bright=awe)
        emotions = (["happy"] if happy else ["sad"]) + (["awe"] if awe else [])
        rows.append({"image": f"{number}.jpg", "caption": caption_of(rng, happy), "emotions": emotions})
    rows.append({"image": "x.jpg", "caption": "", "emotions": ["sad"]})
    (root / "target" / "1.jpg").write_bytes(b"no image")
    (root / "target" / "2.jpg").unlink()
    (root / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    images, annotations = [], []
    for number in range(80):
        draw(root / "source" / f"{number:012d}.jpg", rng, bright=rng.random() < 0.5)
        images.append({"id": number, "file_name": f"{number:012d}.jpg"})
        for _ in range(2):
            caption = caption_of(rng, rng.random() < 0.5)
            annotations.append({"id": len(annotations), "image_id": number, "caption": caption})
    (root / "captions_source.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    moods = [("joy", True) if rng.random() < 0.5 else ("grief", False) for _ in range(90)]
    texts = [{"caption": caption_of(rng, happy), "emotions": [mood]} for mood, happy in moods]
    (root / "moods.jsonl").write_text("\n".join(json.dumps(row) for row in texts))
    return root


def draw(path: Path, rng: np.random.Generator, bright: bool) -> None:
    path.parent.mkdir(exist_ok=True)
    pixels = rng.integers(0, 60, (32, 40, 3)) + (180 if bright else 0)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture
def tiny_study(tiny_corpora: Path, tiny_bert: Path, tmp_path: Path):
    """Writes the YAML of a study on the tiny corpora; keyword arguments go over its top level."""

    def write(**changes) -> Path:
        train = {"epochs": 3, "learning_rate": 3e-3, "batch_size": 16}
        study = {
            "name": "tiny",
            "data_root": str(tiny_corpora),
            "folds": None,
            "target": {"format": "table", "path": "pairs.jsonl", "images": "target"},
            "source": {"format": "coco", "path": "captions_source.json", "images": "source"},
            "features": {"extractor": "grid", "settings": {"rows": 1, "columns": 2, "dim": 32}},
            "model": {"backbone": str(tiny_bert), "max_length": 16},
            "teacher": train,
            "pseudo_labels": {"p": 2, "fraction": 0.8, "controls": []},
            "student": train | {"epochs": 1, "select_by": None, "save_steps": 3},
            "transfer": {"AnB": train, "AnB+": train},
            "baselines": {"names": ["tfidf"]},
            "evaluation": {"n_bootstrap": 100},
        }
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(study | changes))
        return path

    return write
