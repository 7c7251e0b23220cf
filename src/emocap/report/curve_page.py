"""The page of a learning curve, from `curve.json` alone."""

from pathlib import Path
from typing import Any

from emocap.errors import EmocapError
from emocap.files import read_json, write_text
from emocap.report.page import render_page
from emocap.report.plots.learning_curve import learning_curve
from emocap.report.text import counted, interval_text, metric_name, number, signed
from emocap.study.models import display_name

SCHEMA = 1


def write_curve_page(file: Path) -> Path:
    """Write the page of a `curve.json` beside it, completely or not at all; returns its absolute path.

    Raises:
        EmocapError: the file is missing, damaged or of another version.
    """
    curve = read_json(file)
    if not isinstance(curve, dict) or curve.get("schema") != SCHEMA:
        raise EmocapError(f"{file}: not a learning curve of this version; run emocap curve again")
    sample = curve["sample"]
    n_pairs, n_images = counted(curve["n_test_pairs"], "test pair", "test pairs"), sample["n_images"]
    parts = [
        f"{n_pairs} of {counted(n_images, 'image', 'images')}",
        "one split" if curve["folds"] is None else f"{curve['folds']} folds",
        counted(len(curve["seeds"]), "seed", "seeds"),
    ]
    html = render_page(
        "curve.html",
        name=curve["name"],
        about=", ".join(parts),
        findings=findings(curve),
        figure_of_curve=learning_curve(curve),
        columns=[(metric_name(metric), True) for metric in curve["metrics"]],
        rows=_rows(curve),
        laws=_laws(curve),
        over="images and seeds" if len(curve["seeds"]) > 1 else "images",
    )
    page = file.with_suffix(".html")
    write_text(page, html)
    return page.resolve()


def findings(curve: dict[str, Any]) -> list[str]:
    """One sentence for each model on what more training pairs would bring."""
    return [f"{display_name(name)}: {model['verdict']}" for name, model in curve["models"].items()]


def _rows(curve: dict[str, Any]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Model, number of training pairs, and each metric's score with its interval."""
    return [
        (
            name,
            f"{round(point['n_pairs']):,}",
            [(number(point["scores"][m]), interval_text(point["intervals"][m])) for m in curve["metrics"]],
        )
        for name, model in curve["models"].items()
        for point in model["points"]
    ]


def _laws(curve: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Model, and its law's a, b and c with intervals, and the gain of twice the pairs; a reason where there is none."""
    rows = []
    for name, model in curve["models"].items():
        found = model["power_law"]
        if found["law"] is None:
            rows.append((name, [f"no fit: {found['reason']}"]))
            continue
        cells = [
            f"{number(found['law'][key])} {interval_text(found['intervals'][key]) or '(not determined)'}"
            for key in ("a", "b", "c")
        ]
        rows.append((name, [*cells, f"{signed(found['gain'])} {interval_text(found['gain_interval'])}"]))
    return rows
