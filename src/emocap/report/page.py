"""`report.html`: one self-contained page that shows a study, made from its run directory alone."""

from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from emocap.files import write_text
from emocap.report import figures, gallery
from emocap.report.run_files import PER_EMOTION, Manifest, Run, read_run
from emocap.report.verdict import (
    best_models,
    metric_name,
    number,
    percent,
    primary_metric,
    share_of_ceiling,
    signed,
    table,
    the,
    verdict,
)

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
PARTS = ("train", "validation", "test")
SIZES = ("pairs", "labelled", "images", "images_missing", *PARTS)


def write_report(run_dir: Path) -> Path:
    """Write `report.html` into a run directory, whole or not at all.

    Args:
        run_dir: as in `docs/RUN_DIR.md`; nothing outside it is read.

    Returns:
        The path of the page.

    Raises:
        EmocapError: the directory lacks `results.json` or `manifest.json`, a file is not as documented, or the page
            cannot be written.
    """
    run = read_run(run_dir)
    path = run.folder / "report.html"
    write_text(path, render(run))
    return path


def render(run: Run) -> str:
    """The page as HTML; the same run gives the same text."""
    environment = Environment(
        loader=PackageLoader("emocap.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent, "duration": duration, "moment": moment}
    html = environment.get_template("report.html").render(_context(run))
    # JSON may carry half a surrogate pair, which UTF-8 cannot.
    return html.encode("utf-8", "replace").decode("utf-8")


def _context(run: Run) -> dict[str, Any]:
    results = run.results
    outcome = verdict(results)
    compared = _compared(run)
    return {
        "run": run,
        "manifest": run.manifest,
        "results": results,
        "title": run.manifest.name or run.folder.resolve().name,
        "finished": max((stage.finished for stage in run.manifest.stages if stage.finished), default=None),
        "verdict": outcome,
        "tiles": _tiles(run, outcome.leader),
        "metrics": [(metric_name(name), rule.higher_is_better) for name, rule in results.metrics.items()],
        "primary": metric_name(primary_metric(results)),
        "rows": table(results),
        "study_figures": [drawing for drawing in _study_figures(run) if drawing is not None],
        "emotion_figure": figures.emotion_scores(results, compared),
        "emotion_models": compared,
        "emotion_rows": _emotion_rows(run, compared),
        "audit_figure": None if run.audit is None else figures.label_shares(run.audit),
        "cards": _cards(run),
        "gallery_model": _gallery_model(run),
        "sizes": _sizes(run.manifest),
        "quarantined": _quarantined(run.manifest),
        "config": yaml.safe_dump(run.manifest.config, sort_keys=False, allow_unicode=True, width=100),
        "total_seconds": sum(stage.seconds or 0.0 for stage in run.manifest.stages),
    }


def _tiles(run: Run, leader: str) -> list[tuple[str, str, str]]:
    """What, how much, and a remark, for the few numbers one reads first."""
    results = run.results
    metric = primary_metric(results)
    score, prior = results.models[leader][metric], results.models["prior"][metric]
    tiles = [(f"{metric_name(metric)}, {leader}", number(score), "the best model" if leader != "prior" else "no model")]
    if leader != "prior" and score is not None and prior is not None:
        tiles.append(("Difference to the prior", signed(score - prior), f"the prior has {number(prior)}"))
        share = share_of_ceiling(results, leader)
        if share is not None:
            remark = "from the prior to the best reachable score"
            tiles.append(("Of the reachable gain", percent(share.of_way), remark))
    if leader == "prior":
        tiles[0] = (f"{metric_name(metric)}, prior", number(score), "no model is better")
    images = f"on {results.n_test_images:,} image{'' if results.n_test_images == 1 else 's'} held out of training"
    tiles.append(("Test pairs", f"{results.n_test_pairs:,}", images))
    return tiles


def _compared(run: Run) -> list[str]:
    """The models of the emotion section: prior, teacher, and the best of the others by the primary metric."""
    results = run.results
    names: list[str] = [name for name in ("prior", "teacher") if name in results.models]
    others = {name: scores for name, scores in results.models.items() if name not in names}
    if others:
        best = best_models(results.model_copy(update={"models": others}), primary_metric(results))
        names.append(best[-1] if best else list(others)[-1])
    return names


def _study_figures(run: Run) -> list[figures.Drawing | None]:
    histories = run.histories
    prior_bce = run.results.models["prior"].get("bce")
    return [
        figures.teacher_loss(histories["teacher"], prior_bce) if "teacher" in histories else None,
        figures.student_loss(histories["student"]) if "student" in histories else None,
        figures.transfer_loss(histories),
        figures.transfer_metrics(run.results),
    ]


def _emotion_rows(run: Run, models: list[str]) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Each emotion with the average precision of each model and whether it is the highest of them."""
    rows = []
    for label in run.results.labels:
        values = [run.results.models[name].get(PER_EMOTION, {}).get(label) for name in models]
        highest = max((value for value in values if value is not None), default=None)
        rows.append((label, [(number(value), value is not None and value == highest) for value in values]))
    return rows


def _cards(run: Run) -> list[tuple[str, str, list[gallery.Shown]]]:
    if run.gallery is None:
        return []
    model = _gallery_model(run)
    sets = [
        ("Best", f"The test pairs whose emotions {model} ranks best.", run.gallery.best),
        ("Worst", f"The test pairs whose emotions {model} ranks worst.", run.gallery.worst),
    ]
    return [(name, words, gallery.shown(run.folder, cards)) for name, words, cards in sets if cards]


def _gallery_model(run: Run) -> str:
    return the(run.gallery.model) if run.gallery is not None and run.gallery.model else "the model"


def _sizes(manifest: Manifest) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Column names and one row per corpus, columns without any number left out."""
    corpora = {name: sizes for name, sizes in manifest.data.items() if sizes}
    known = [*SIZES, *sorted({key for sizes in corpora.values() for key in sizes} - set(SIZES))]
    columns = [key for key in known if any(sizes.get(key) is not None for sizes in corpora.values())]
    rows = [(name, [_whole(sizes.get(key)) for key in columns]) for name, sizes in corpora.items()]
    return [_column_name(key) for key in columns], rows


def _column_name(key: str) -> str:
    return f"{key.capitalize()} pairs" if key in PARTS else key.replace("_", " ").capitalize()


def _whole(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _quarantined(manifest: Manifest) -> list[tuple[str, Any]]:
    return [(name, found) for name, found in manifest.quarantined.items() if found is not None and found.count]


def duration(seconds: float | None) -> str:
    """Seconds as people say them.

    >>> duration(0.42), duration(12.1), duration(200), duration(7500), duration(None)
    ('0.4 s', '12.1 s', '3 min 20 s', '2 h 05 min', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes} min {left:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(text: str | None) -> str:
    """An ISO 8601 time for people; what is none stays as it is.

    >>> moment("2026-11-23T10:00:00Z"), moment("soon"), moment(None)
    ('23 November 2026, 10:00 UTC', 'soon', '–')
    """
    if text is None:
        return "–"
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    # Not strftime's %B, which follows the locale: the same run must give the same page everywhere.
    month = MONTHS[when.month - 1]
    zone = f" {when.tzname()}" if when.tzinfo else ""
    return f"{when.day} {month} {when.year}, {when:%H:%M}{zone}"
