"""A small, complete run directory with synthetic numbers, in the format of `docs/RUN_DIR.md`."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from .synthetic import LABELS, results

NASTY = "<script>alert('x')</script> & \"quotes\" – ein Bär im Café 🐻"


class RunDir:
    """A run directory whose files a test may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def write(self, name: str, value: Any) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")

    def change(self, name: str, edit: Callable[[Any], None]) -> None:
        value = self.read(name)
        edit(value)
        self.write(name, value)

    def drop_models(self, *names: str) -> None:
        """Remove models from every part of `results.json`."""

        def drop(it: Any) -> None:
            for part in ("models", "intervals", "kinds", "calibration", "differences"):
                it[part] = {name: value for name, value in it[part].items() if name not in names}
            for compared in it["differences"].values():
                for name in names:
                    compared.pop(name, None)

        self.change("results.json", drop)

    def drop_source(self) -> None:
        """Keep what a study without a source has."""
        for name in ("student", "AnB", "AnB+"):
            (self.folder / name / "history.json").unlink()
        (self.folder / "audit.json").unlink()
        self.drop_models("student", "AnB", "AnB+", "ensemble")
        absent = dict.fromkeys(("human", "modality_ablation", "transfer_study", "pseudo_label_study"))
        self.change("results.json", lambda it: it.update(absent))
        self.change("manifest.json", lambda it: (it["data"].update(source=None), it["rejected"].pop("source")))
        self.change("manifest.json", lambda it: it.update(stages=it["stages"][:3] + it["stages"][6:]))
        self.change("results.json", lambda it: it.update(recommended="teacher"))
        self.change("gallery.json", lambda it: it.update(model="teacher"))


def history(run: str, steps: int, per_epoch: int, start: float, end: float) -> dict[str, Any]:
    def loss(step: int) -> float:
        return end + (start - end) * math.exp(-4 * step / steps) + 0.02 * math.sin(12.9898 * step) * math.cos(step)

    epochs = range(per_epoch, steps + 1, per_epoch)
    validation = [
        {"step": step, "epoch": step / per_epoch, "loss": loss(step) + 0.01 + 0.004 * max(0, place - 2) ** 2,
         "mean_average_precision": 0.2} for place, step in enumerate(epochs)
    ]  # fmt: skip
    best = min(validation, key=lambda row: row["loss"])["epoch"] if validation else None
    train = [{"step": step, "epoch": step / per_epoch, "loss": loss(step)} for step in range(1, steps + 1)]
    return {"schema": 1, "run": run, "train": train, "validation": validation, "best_epoch": best, "seconds": 41.0,
            "n_train_pairs": 840}  # fmt: skip


def audit() -> dict[str, Any]:
    return {
        "schema": 1, "labels": LABELS, "p": 4, "k": None, "fraction": 0.5, "label_type": "soft",
        "rank": "probability",
        "contrast": {
            "probability": {"n_images": 1200, "same_image": 3.4, "other_images": 3.125, "n_occurring": 5},
            "lift": {"n_images": 1200, "same_image": 1.36, "other_images": 0.75, "n_occurring": 6},
        },
        "n_source_pairs": 6000, "n_candidates": 6000, "n_selected": 3000,
        "target_share": [0.6, 0.4, 0.3, 0.2, 0.1, 0.1],
        "before": [0.30, 0.25, 0.20, 0.15, 0.09, 0.01], "after": [0.35, 0.25, 0.20, 0.12, 0.08, 0.0],
        "entropy_before": 1.61, "entropy_after": 1.50, "entropy_target": 1.64, "entropy_max": math.log(6),
        "never_chosen": ["tired"], "largest_share": 0.35, "warning": None,
    }  # fmt: skip


def manifest() -> dict[str, Any]:
    stages = ("prepare", "features", "teacher", "score", "student", "transfer", "evaluate")
    return {
        "schema": 1, "name": "demo", "command": "emocap demo", "seed": 0, "vocabulary": "8cdb0a1b2c3d4e5f",
        "config": {"target": {"corpus": "scenes", "min_count": 3}, "teacher": {"epochs": 4, "learning_rate": 5e-05}},
        "versions": {"emocap": "0.1.0", "torch": "2.12.0", "python": "3.11.9"},
        "machine": {"platform": "Linux-6.1", "cpus": 2, "device": "cpu"}, "peak_memory_gib": 2.1,
        "data": {"target": {"pairs": 1200, "images": 1190, "labelled": 1198, "images_missing": 3,
                            "train": 840, "validation": 120, "test": 240},
                 "source": {"pairs": 6000, "images": 1201, "images_missing": 0}},
        "rejected": {
            "target": {"count": 2, "reasons": {"caption is empty": 2},
                       "examples": [{"where": "pairs.csv:17", "reason": "caption is empty"}]},
            "source": {"count": 0, "reasons": {}, "examples": []},
            "images": {"count": 1, "reasons": {"not an image": 1},
                       "examples": [{"where": "images/bad.jpg", "reason": "not an image"}]}},
        "stages": [{"name": name, "seconds": 12.1 * (place + 1), "finished": f"2026-11-23T10:0{place}:00Z"}
                   for place, name in enumerate(stages)],
    }  # fmt: skip


def gallery(folder: Path) -> dict[str, Any]:
    captions = ["A dog runs along the beach at sunset.", NASTY, "An empty room " * 20, "A child laughs.", "word" * 40]
    cards = []
    for place, caption in enumerate(captions):
        name = f"gallery/{place:04d}.jpg"
        image = Image.new("RGB", (320, 240) if place % 2 else (180, 320), (90 + 30 * place, 140, 200 - 30 * place))
        ImageDraw.Draw(image).ellipse((40, 60, 150, 170), fill=(250, 220, 120))
        (folder / "gallery").mkdir(parents=True, exist_ok=True)
        image.save(folder / name)
        cards.append({"pair_id": f"p{place}", "image": name, "caption": caption, "true": ["happy", "tired"],
                      "predicted": [["happy", 0.71], ["awe", 0.404], ["calm", 0.22]],
                      "average_precision": 0.625})  # fmt: skip
    missing = {**cards[0], "image": "gallery/9999.jpg", "caption": "Its image is missing.", "true": ["fear"]}
    return {"schema": 1, "model": "AnB+", "best": cards, "worst": [missing, {**cards[3], "image": None}]}


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "demo")
    run.write("manifest.json", manifest())
    run.write("results.json", results())
    run.write("audit.json", audit())
    run.write("gallery.json", gallery(run.folder))
    run.write("teacher/history.json", history("teacher", 104, 26, 0.69, 0.31))
    run.write("student/history.json", history("student", 94, 94, 0.60, 0.33))
    run.write("AnB/history.json", history("AnB", 104, 26, 0.60, 0.34))
    run.write("AnB+/history.json", history("AnB+", 104, 26, 0.55, 0.29))
    return run
