"""`manifest.json`: what ran, with which configuration, versions and data, and what was rejected."""

from collections.abc import Sequence
from typing import Any

from emocap.files import read_json, write_json
from emocap.regions.store.format import is_complete
from emocap.study.artifacts import count_faults, read_value
from emocap.study.cache import RunDir, environment
from emocap.study.folds import decided
from emocap.study.stages.features import image_faults
from emocap.study.unit import PARTS, Unit


def write_manifest(run: RunDir, units: Sequence[Unit], command: str) -> None:
    """Write the manifest of a run, as `docs/RUN_DIR.md` describes it."""
    study = units[0]
    data, rejected = _data(units)
    config = study.config.dump()
    config["model"]["backbone"] = study.backbone("name")
    for role in study.config.own_backbones:
        config[role]["backbone"] = study.backbone("name", role)
    manifest = {
        "schema": 1,
        "name": study.config.name,
        "command": command,
        "config": config,
        "seed": study.config.seed,
        "folds": decided(study.root),
        "units": [str(unit.run.relative_to(unit.root)) for unit in units],
        "vocabulary": study.vocabulary.hash,
        **environment(),
        "data": data,
        "rejected": rejected,
        "stages": run.finished_stages(),
    }
    write_json(study.root / "manifest.json", manifest)


def _data(units: Sequence[Unit]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sizes of the corpora and their parts, and what was rejected, by corpus."""
    study = units[0]
    data, rejected = (read_value(study.root / "data.json", key) for key in ("data", "rejected"))
    images: list[tuple[str, str]] = []
    for domain in study.config.corpora:
        path = study.store_path(domain)
        if path is not None and is_complete(path):  # it is not yet where an earlier stage is the last
            data[domain]["images_missing"], faults = image_faults(study, domain)
            data[domain]["images_rejected"] = len(faults)
            images += faults
    splits = [read_json(unit.run / "splits.json") for unit in units if (unit.run / "splits.json").is_file()]
    if splits:
        if len(units) == 1:
            data["target"] |= {part: len(study.rows[part]) for part in PARTS}
        data["target"]["left_out"] = max(len(split["left_out"]) for split in splits)
        data["target"]["repeated_captions"] = max(split["repeated_captions"]["count"] for split in splits)
        if study.config.source is not None:
            data["source"]["held_out_pairs_removed"] = max(split["held_out_pairs_removed"] for split in splits)
    return data, rejected | {"images": count_faults(images)}
