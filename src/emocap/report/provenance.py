"""Where the numbers come from: sizes of the data, rejected rows, configuration, stages and their times."""

from typing import Any

import yaml

from emocap.html_templates import percent
from emocap.report.files.manifest import Manifest
from emocap.report.files.run import Run
from emocap.report.text import counted

SPLITS = ("train", "validation", "test")
SIZES = ("pairs", "labelled", "without_emotion", "images", "images_missing", "images_rejected", *SPLITS)


def data_section(run: Run) -> dict[str, Any] | None:
    """Sizes of the corpora and what was rejected; None where neither was recorded."""
    columns, rows = _sizes(run.manifest)
    rejected = [(name, item) for name, item in run.manifest.rejected.items() if item is not None and item.count]
    return {"columns": columns, "rows": rows, "rejected": rejected} if rows or rejected else None


def data_remarks(manifest: Manifest) -> list[str]:
    """Sentences on what the numbers leave out: images that models did not see, pairs that evoke no emotion."""
    remarks = []
    sizes = manifest.data.get("target") or {}
    if sizes.get("images") == 0:
        remarks.append("No pair has an image: pairs with the same caption are kept together and count as one caption.")
    for domain, corpus in manifest.data.items():
        counts = corpus or {}
        images = counts.get("images") or 0
        unseen = (counts.get("images_missing") or 0) + (counts.get("images_rejected") or 0)
        if images and unseen:
            remarks.append(
                f"{unseen:,} of the {domain.replace('_', ' ')}’s {counted(images, 'image', 'images')} "
                f"({percent(unseen / images)}) {'is' if unseen == 1 else 'are'} "
                "missing or unusable; models read the captions alone there."
            )
    pairs = sizes.get("labelled") or 0
    negatives = sizes.get("without_emotion") or 0
    if pairs and negatives and manifest.config.get("target", {}).get("negatives") != "drop":
        remarks.append(
            f"{negatives:,} of {counted(pairs, 'pair', 'pairs')} ({percent(negatives / pairs)}) "
            f"{'evokes' if negatives == 1 else 'evoke'} none of the emotions; rankings are "
            "averaged over the others, all other metrics over all pairs."
        )
    return remarks


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
    """Names of the corpora, and one row per number, without rows that are empty."""
    corpora = {name: sizes for name, sizes in manifest.data.items() if sizes}
    known = [*SIZES, *sorted({key for sizes in corpora.values() for key in sizes} - set(SIZES))]
    keys = [key for key in known if any(sizes.get(key) is not None for sizes in corpora.values())]
    rows = [(_size_name(key), [_count(sizes.get(key)) for sizes in corpora.values()]) for key in keys]
    return [name.replace("_", " ") for name in corpora], rows


def _size_name(key: str) -> str:
    return f"{key.capitalize()} pairs" if key in SPLITS else key.replace("_", " ").capitalize()


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
