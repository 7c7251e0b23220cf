"""The included models, `src/emocap/included/large` and `small`, from a finished run of `configs/included.yaml`.

python benchmarks/included.py runs/included
python benchmarks/included.py runs/included --large teacher --large-rank 8 --small AnB+ --out elsewhere

A model of the run, or the path of a model folder, whose scores are those of the run's model of the same name. Of a run
over folds or seeds the weights are those of its first unit, unless a folder is given. Each folder holds the updates to
its backbone, the card with its scores, MODEL_CARD.md, and the answers to 30 captions that a test compares; beside the
folders `hashes.json` has the SHA-256 of every file.
"""

import argparse
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from included_card import data_of, licence_of, model_card_text
from PIL import Image

from emocap.api.predictor import EmotionPredictor
from emocap.classifiers.compact import Compactness, write_compact
from emocap.classifiers.ensemble import ENSEMBLE
from emocap.classifiers.evaluation_file import read_evaluation, write_evaluation
from emocap.classifiers.familiarity import FILE as FAMILIARITY
from emocap.classifiers.familiarity import read_familiarity, write_familiarity
from emocap.classifiers.included import MODEL_CARD
from emocap.classifiers.load import load_classifier
from emocap.classifiers.places import find_model
from emocap.errors import EmocapError
from emocap.files import read_json, sha256_of, write_json
from emocap.models.backbones import find_backbone
from emocap.training.checkpoint import load_model, read_card
from emocap.weights import weights_files

OUT = Path(__file__).parents[1] / "src" / "emocap" / "included"
CAPTIONS = Path(__file__).with_name("included_captions.json")
ANSWERS, HASHES = "answers.json", "hashes.json"
MEASURED = ("top1_accuracy", "top3_accuracy", "recall_at_3", "mean_average_precision", "expected_calibration_error")
BACKBONES = {"large": "large", "small": "offline"}
MAX_BYTES = 5_000_000
MAX_DIFFERENCE = 0.01  # of a probability, between the compact model and the whole one


@dataclass(frozen=True)
class Built:
    """An included model that was written, and how far its answers are from those of the whole weights."""

    folder: Path
    compactness: Compactness
    difference: float


def build(name: str, run: Path, model: str, out: Path, *, backbone: str, max_rank: int, data: str | None) -> Built:
    """Write the folder of an included model.

    Args:
        name: "large" or "small".
        run: a finished run.
        model: one of its models, or the path of a model folder.
        out: folder of all included models.
        backbone: that the model was initialised from.
        max_rank: as `write_compact`.
        data: what it learned from; None derives it from the run's configuration.

    Raises:
        EmocapError: no such model, or one that is no network.
    """
    trained_apart = Path(model).is_dir()
    place = _network(Path(model) if trained_apart else run / model)
    results, manifest = read_json(run / "results.json"), read_json(run / "manifest.json")
    saved = load_model(place)
    scored = Path(model).name if saved.card.run not in results["models"] else saved.card.run
    if scored not in results["models"]:
        raise EmocapError(f"{run}: has no scores of {scored}; it has {', '.join(results['models'])}")
    measured = _measured(results, scored)
    training = {
        "study": manifest["name"],
        "model": scored,
        "backbone": backbone,
        "backbone_bytes": sum(file.stat().st_size for file in weights_files(find_backbone(backbone).folder)),
        "data": data or data_of(manifest, scored),
        "licence": licence_of(manifest, scored),
        "version": version("emocap"),
    }
    evaluation = (read_evaluation(find_model(run / scored)) or {}) | {"measured": measured}
    folder = out / name
    compactness = write_compact(
        saved, folder, backbone=backbone, max_rank=max_rank, changes={"training": training}, evaluation=evaluation
    )
    if not (place / FAMILIARITY).is_file():
        write_familiarity(folder, read_familiarity(find_model(run / scored)), is_compact=True)
    answers, difference = _answers(folder, place)
    write_json(folder / ANSWERS, answers)
    text = model_card_text(
        name, read_card(folder), results, manifest, scored, compactness, difference, trained_apart=trained_apart
    )
    (folder / MODEL_CARD).write_text(text, encoding="utf-8", newline="\n")
    write_evaluation(folder, {key: value for key, value in evaluation.items() if key != "files"}, {})
    for file in folder.iterdir():
        file.chmod(0o644)  # the library writes tensors for their owner alone
    return Built(folder, compactness, difference)


def _network(folder: Path) -> Path:
    """The folder of a network; of an ensemble over units that of its first member."""
    place = find_model(folder)
    card = read_card(place)
    return _network(place / card.members[0]) if card.kind == ENSEMBLE else place


def _measured(results: dict[str, Any], model: str) -> dict[str, Any]:
    """The held-out scores, as `GET /v1/model` shows them."""
    scores = results["models"]
    metrics = [metric for metric in MEASURED if metric in scores[model]]
    return {
        "pairs": results["n_test_pairs"],
        "scores": {metric: scores[model][metric] for metric in metrics},
        "prior": {metric: scores["prior"][metric] for metric in metrics},
        "intervals": {metric: results["intervals"][model][metric] for metric in metrics},
        "synthetic": False,
    }


def image_of(seed: int) -> Image.Image:
    """An image of 160 x 120 pixels: a coloured gradient with a rectangle, the same on every machine."""
    generator = np.random.default_rng(seed)
    ends = generator.integers(0, 256, (2, 3)).astype(float)
    pixels = np.linspace(ends[0], ends[1], 120)[:, None].repeat(160, axis=1)
    top, left = generator.integers(0, 60), generator.integers(0, 80)
    pixels[top : top + 50, left : left + 70] = generator.integers(0, 256, 3)
    return Image.fromarray(pixels.astype(np.uint8))


def _answers(compact: Path, whole: Path) -> tuple[list[dict[str, Any]], float]:
    """The answers of a compact model, and the largest difference of a probability to those of the whole weights."""
    predictor = EmotionPredictor(load_classifier(compact))
    pairs = [
        (caption, None if seed is None or not predictor.uses_images else seed) for caption, seed in read_json(CAPTIONS)
    ]
    regions = predictor.regions([None if seed is None else image_of(seed) for _, seed in pairs])
    features = [None if one is None else one.features.astype(np.float16) for one in regions]
    captions = [caption for caption, _ in pairs]
    found = predictor.pair_outputs(features, captions)
    expected = EmotionPredictor(load_classifier(whole)).pair_outputs(features, captions)
    answers = [
        {"caption": caption, "image": seed, "probabilities": [round(float(value), 5) for value in row]}
        for (caption, seed), row in zip(pairs, found, strict=True)
    ]
    return answers, float(np.abs(found - expected).max())


def main() -> None:
    """Write both models, and print what they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--large", default="teacher", metavar="MODEL", help="'' leaves it out")
    parser.add_argument("--small", default="AnB+", metavar="MODEL", help="'' leaves it out")
    parser.add_argument("--data", help="what the models learned from, in a line; default from the configuration")
    for name, backbone in BACKBONES.items():
        parser.add_argument(f"--{name}-backbone", default=backbone)
        parser.add_argument(f"--{name}-rank", type=int, default=16, help="largest rank of a change; default 16")
    options = vars(parser.parse_args())
    out: Path = options["out"]
    for name in BACKBONES:
        if not options[name]:
            continue
        built = build(
            name,
            options["run"],
            options[name],
            out,
            backbone=options[f"{name}_backbone"],
            max_rank=options[f"{name}_rank"],
            data=options["data"],
        )
        note = "" if built.difference <= MAX_DIFFERENCE else f", above {MAX_DIFFERENCE}: raise --{name}-rank"
        print(
            f"{built.folder}: {built.compactness.n_bytes / 1e6:.2f} MB, largest relative error of a change "
            f"{built.compactness.worst:.4f}, of a probability {built.difference:.4f}{note}"
        )
    files = sorted(file for file in out.glob("*/*") if file.is_file())
    write_json(out / HASHES, {file.relative_to(out).as_posix(): sha256_of(file) for file in files})
    size = sum(file.stat().st_size for file in files)
    print(f"{out}: {size / 1e6:.2f} MB in all" + (f", above {MAX_BYTES / 1e6:g} MB" if size > MAX_BYTES else ""))


if __name__ == "__main__":
    main()
