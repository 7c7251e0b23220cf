"""CONTRIBUTING.md holds: each kind of extension is made in at most two source files, and a study then uses it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import emocap

CORPUS = '''"""Captions in a TSV: image, caption, emotion."""

from pathlib import Path

from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder


def read_tabs(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    builder = PairsBuilder(path, images)
    for number, line in enumerate(path.read_text().splitlines()):
        image, caption, emotion = line.split("\\t")
        builder.add(f"line {number + 1}", f"tabs:{number}", image, caption, [emotion])
    return builder.build()
'''
EXTRACTOR = '''"""The mean colour of an image as its only region."""

import numpy as np

from emocap.regions.extractors.base import Regions


class MeanColourExtractor:
    name, dim, weights_hash, at_least, batch_size = "mean-colour", 3, "", None, 8
    in_processes, names, computed_in, settings = False, None, "float32", {}

    def prepare(self, image):
        return np.asarray(image, np.float32).mean(axis=(0, 1)) / 255

    def describe(self, prepared, sizes):
        return [
            Regions(colour[None], np.array([[0, 0, *size]], np.float32), size)
            for colour, size in zip(prepared, sizes, strict=True)
        ]
'''
STAGE = '''"""Writes how many pairs each part has."""

from emocap.files import write_json
from emocap.study.unit import PARTS, Unit


def part_sizes(unit: Unit) -> None:
    write_json(unit.run / "part_sizes.json", {part: len(unit.rows[part]) for part in PARTS})
'''
LOSS_FUNCTION = '''
def brier(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the probabilities."""
    logits, targets = _checked(logits, targets)
    return ((torch.sigmoid(logits) - targets) ** 2).mean()


'''
LOSS_SETTINGS = '''class BrierLoss(BaseLossSettings):
    """Mean squared error of the probabilities."""

    name: Literal["brier"] = "brier"


'''
STATISTIC = """
def subset_statistic(scored: ScoredPredictions) -> Statistic:
    return PairMean(((scored.probabilities >= 0.5) == scored.truth).all(axis=1).astype(float))


"""
SECTION = """def size_section(run: Run) -> Content:
    return {"models": len(run.results.models)}


"""


class Package:
    """A copy of the package, and which of its files an extension has changed."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "emocap"
        shutil.copytree(Path(emocap.__file__).parent, self.root, ignore=shutil.ignore_patterns("__pycache__"))
        self.changed: set[str] = set()

    def write(self, file: str, text: str) -> None:
        assert not (self.root / file).exists()
        (self.root / file).write_text(text)
        self.changed.add(file)

    def insert(self, file: str, before: str, text: str) -> None:
        content = (self.root / file).read_text()
        assert content.count(before) == 1, f"{file}: {before!r} occurs {content.count(before)} times"
        (self.root / file).write_text(content.replace(before, text + before))
        self.changed.add(file)


def add_corpus(package: Package) -> None:
    package.write("corpora/formats/tabs.py", CORPUS)
    package.insert("corpora/read.py", "from emocap.errors", "from emocap.corpora.formats.tabs import read_tabs\n")
    entry = '    "tabs": Format("TSV", read_tabs, lambda path, _: path.suffix == ".tabs"),\n'
    package.insert("corpora/read.py", '    "table": Format(', entry)


def add_extractor(package: Package) -> None:
    package.write("regions/extractors/mean_colour.py", EXTRACTOR)
    entry = '    "mean-colour": "emocap.regions.extractors.mean_colour:MeanColourExtractor",\n'
    package.insert("regions/extractors/registry.py", '    "frcnn-vg":', entry)


def add_loss(package: Package) -> None:
    package.insert("training/loss_settings.py", "LOSS_SETTINGS: ", LOSS_SETTINGS)
    package.insert("training/loss_settings.py", "BceLoss, WeightedLoss, ", "BrierLoss, ")
    package.insert("training/losses.py", "_LOSSES = (\n", LOSS_FUNCTION)
    package.insert("training/losses.py", "    LossEntry(FocalLoss", "    LossEntry(BrierLoss, brier),\n")
    package.insert("training/losses.py", "    BceLoss,\n", "    BrierLoss,\n")


def add_metric(package: Package) -> None:
    package.insert("evaluation/metrics.py", "_METRICS = (\n", STATISTIC)
    package.insert("evaluation/metrics.py", "_METRICS = (\n", "from emocap.evaluation.statistics import PairMean\n\n")
    entry = '    Metric("subset_accuracy", "Subset accuracy", "subset", subset_statistic, "decisions"),\n'
    package.insert("evaluation/metrics.py", '    Metric(\n        "coverage_error"', entry)


def add_stage(package: Package) -> None:
    package.write("study/stages/part_sizes.py", STAGE)
    package.insert("study/stages/table.py", "    prepare,\n", "    part_sizes,\n")
    arguments = 'part_sizes.part_sizes, scope="unit", inputs=["splits"], outputs=["part_sizes.json"]'
    entry = f'    Stage("part_sizes", {arguments}),\n'
    package.insert("study/stages/table.py", '    Stage(\n        "baselines"', entry)


def add_page_element(package: Package) -> None:
    package.write("report/templates/size.html", "<p>This study compares {{ content.models }} models.</p>\n")
    package.insert("report/sections.py", "SECTIONS = (\n", SECTION)
    entry = '    Section("size", "Size", "Size of the study", "size.html", size_section),\n'
    package.insert("report/sections.py", '    Section("training"', entry)


EXTENSIONS = (add_corpus, add_extractor, add_loss, add_metric, add_stage, add_page_element)


@pytest.mark.parametrize("extend", EXTENSIONS)
def test_extension_needs_two_files(tmp_path, extend) -> None:
    package = Package(tmp_path)
    extend(package)
    assert 1 <= len(package.changed) <= 2


def test_study_uses_one_extension_of_each_kind(tmp_path, tiny_bert) -> None:
    package = Package(tmp_path)
    for extend in EXTENSIONS:
        extend(package)
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    rows = []
    for number in range(40):
        pixels = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
        rows.append(f"{number}.png\tthe dog {number} runs\t{'happy' if number % 2 else 'sad'}")
    (tmp_path / "pairs.tabs").write_text("\n".join(rows))
    study = {
        "name": "extended",
        "folds": None,
        "data_root": str(tmp_path),
        "target": {"format": "tabs", "path": "pairs.tabs", "images": "images"},
        "features": {"extractor": "mean-colour"},
        "model": {"backbone": str(tiny_bert), "max_length": 16},
        "teacher": {"epochs": 1, "loss": "brier"},
        "baselines": {"names": []},
        "evaluation": {"n_bootstrap": 100},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "emocap", "run", tmp_path / "study.yaml", "--run-dir", tmp_path / "run"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    run = tmp_path / "run"
    assert sum(json.loads((run / "part_sizes.json").read_text()).values()) == 40
    assert json.loads((run / "teacher/model/emocap.json").read_text())["features"]["extractor"] == "mean-colour"
    validation = json.loads((run / "teacher/history.json").read_text())["validation"]
    assert all(row["loss"] < 0.35 < row["bce"] for row in validation), "a Brier score is below, cross-entropy above"
    assert validation
    results = json.loads((run / "results.json").read_text())
    assert 0 <= results["models"]["teacher"]["subset_accuracy"] <= 1
    page = (run / "report.html").read_text()
    assert "Subset accuracy" in page
    assert "This study compares 2 models." in page
