"""Where the numbers come from: sizes of the data, rejected rows, configuration, stages and their times."""

from typing import Any

import yaml

from emocap.report.files.manifest import Manifest
from emocap.report.files.run import Run

SPLITS = ("train", "validation", "test")
SIZES = ("pairs", "labelled", "without_emotion", "images", "images_missing", "images_rejected", *SPLITS)


def data_section(run: Run) -> dict[str, Any] | None:
    """Sizes of the corpora and what was rejected; None where neither was recorded."""
    columns, rows = _sizes(run.manifest)
    rejected = [(name, item) for name, item in run.manifest.rejected.items() if item is not None and item.count]
    return {"columns": columns, "rows": rows, "rejected": rejected} if rows or rejected else None


def provenance_section(run: Run) -> dict[str, Any]:
    """The resolved configuration and the time of all stages together."""
    return {
        "config": yaml.safe_dump(run.manifest.config, sort_keys=False, allow_unicode=True, width=100),
        "total_seconds": total_seconds(run.manifest),
    }


def total_seconds(manifest: Manifest) -> float:
    """How long all stages took."""
    return sum(stage.seconds or 0.0 for stage in manifest.stages)


def _sizes(manifest: Manifest) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Column names and one row per corpus, without columns that are empty."""
    corpora = {name: sizes for name, sizes in manifest.data.items() if sizes}
    known = [*SIZES, *sorted({key for sizes in corpora.values() for key in sizes} - set(SIZES))]
    columns = [key for key in known if any(sizes.get(key) is not None for sizes in corpora.values())]
    rows = [(name, [_count(sizes.get(key)) for key in columns]) for name, sizes in corpora.items()]
    return [_column_name(key) for key in columns], rows


def _column_name(key: str) -> str:
    return f"{key.capitalize()} pairs" if key in SPLITS else key.replace("_", " ").capitalize()


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
