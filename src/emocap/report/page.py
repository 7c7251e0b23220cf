"""`report.html`: one self-contained page that shows a study, made from its run directory alone."""

from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment

from emocap.files import write_text
from emocap.html_templates import templates_of
from emocap.report import captions, gallery
from emocap.report.files.results import PER_EMOTION, PRIMARY, Difference, PseudoLabelStudy, Results, TransferStudy
from emocap.report.files.run import Manifest, Run, read_run
from emocap.report.findings import pseudo_label_sentence, signal_sentence, transfer_sentence
from emocap.report.plots import study as figures
from emocap.report.plots import transfer as figures_transfer
from emocap.report.plots import trust as figures_trust
from emocap.report.tables import (
    Cell,
    compact_metrics,
    compact_table,
    difference_cell,
    difference_tables,
    full_table,
    meanings,
    score_cell,
)
from emocap.report.text import (
    between,
    counted,
    metric_name,
    number,
    opening,
    percent,
    signed,
    signed_interval,
    the,
)
from emocap.report.verdict import Verdict, human_share, share_of_ceiling, verdict

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
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
    environment = page_environment()
    html = environment.get_template("report.html").render(_context(run))
    # JSON may carry half a surrogate pair, which UTF-8 cannot.
    return html.encode("utf-8", "replace").decode("utf-8")


def page_environment() -> Environment:
    """Templates of the report's pages with the filters that they use."""
    environment = templates_of("emocap.report")
    environment.filters |= {
        **{"number": number, "percent": percent, "opening": opening, "metric": metric_name},
        **{"duration": duration, "moment": moment},
    }
    return environment


def _context(run: Run) -> dict[str, Any]:
    results = run.results
    outcome = verdict(results)
    compared = _compared(results, outcome)
    return {
        "run": run,
        "manifest": run.manifest,
        "results": results,
        "title": run.manifest.name or run.folder.resolve().name,
        "finished": max((stage.finished for stage in run.manifest.stages if stage.finished), default=None),
        "verdict": outcome,
        "tiles": _tiles(run, outcome),
        "repeats": _repeats(results),
        "first_unit": _first_unit(run),
        "metrics": [(metric_name(name), rule.higher_is_better) for name, rule in compact_metrics(results).items()],
        "primary": metric_name(PRIMARY),
        "groups": compact_table(results),
        "models": results.ordered_models(),
        "all_rows": full_table(results),
        "differences": difference_tables(results),
        "meanings": meanings(results),
        "captions": captions.section(run),
        "study_figures": [drawing for drawing in _study_figures(run) if drawing is not None],
        "trust_figures": [drawing for drawing in _trust_figures(results, outcome) if drawing is not None],
        "calibration": [(n, results.calibration[n]) for n in results.ordered_models() if n in results.calibration],
        **_findings(results),
        "transfer_rows": _points(results.transfer_study, "teacher", results),
        "pseudo_rows": _points(results.pseudo_label_study, "base", results),
        "signal_figure": figures_trust.what_carries_the_signal(results),
        "transfer_figure": figures_transfer.transfer_study(results),
        "pseudo_figure": figures_transfer.pseudo_label_study(results),
        "emotion_figure": figures.emotion_scores(results, compared),
        "emotion_models": compared,
        "emotion_rows": _emotion_rows(run, compared),
        "audit_figure": None if run.audit is None else figures.label_shares(run.audit),
        "cards": _cards(run),
        "gallery_model": _gallery_model(run),
        "sizes": _sizes(run.manifest),
        "rejected": _quarantined(run.manifest),
        "config": yaml.safe_dump(run.manifest.config, sort_keys=False, allow_unicode=True, width=100),
        "total_seconds": sum(stage.seconds or 0.0 for stage in run.manifest.stages),
    }


def _tiles(run: Run, outcome: Verdict) -> list[tuple[str, str, str]]:
    """What, how much, and a remark, for the four numbers at most that one reads first."""
    results, name, difference = run.results, outcome.leader, outcome.difference
    tiles = [
        (f"{metric_name(PRIMARY)}, {name}", number(results.models[name][PRIMARY]), _interval(results, name)),
    ]
    if difference is not None:
        tiles.append((f"Difference to {the(outcome.baseline)}", signed(difference.difference), _range(difference)))
    teacher = results.difference("AnB+", "teacher", PRIMARY)
    if teacher is not None:
        tiles.append(("AnB+ less the teacher", signed(teacher.difference), _range(teacher)))
    share, of_human = share_of_ceiling(results, name), human_share(results, name)
    if of_human is not None:
        tiles.append(("Of one annotator", percent(of_human), "recall@3 against the other annotators"))
    elif share is not None:
        tiles.append(("Of the reachable gain", percent(share.of_way), "from the prior to the best reachable score"))
    if len(tiles) == 4:
        return tiles
    images = f"on {counted(results.n_test_images, 'image', 'images')} held out of training"
    tiles.append(("Test pairs", f"{results.n_test_pairs:,}", images))
    return tiles


def _interval(results: Results, name: str) -> str:
    interval = results.interval(name, PRIMARY)
    return "" if interval is None else f"95% interval {between(interval)}"


def _range(difference: Difference) -> str:
    return f"95% interval {signed_interval(difference)}"


def _repeats(results: Results) -> str:
    """How the test answers came about, in words; empty for one split and one seed."""
    parts = (
        [] if results.folds is None else [f"{results.folds}-fold cross-validation by image, every image tested once"]
    )
    if len(results.seeds) > 1:
        parts.append(f"means over {len(results.seeds)} seeds")
    return ", ".join(parts)


def _first_unit(run: Run) -> str:
    """Which part of the study is shown where only one is, empty where there is but one."""
    if len(run.manifest.units) == 1:
        return ""
    results = run.results
    seed = f"seed {results.seeds[0]}"
    return f"{seed} of {len(results.seeds)} seeds" if results.folds is None else f"{seed}, fold 0 of {results.folds}"


def _compared(results: Results, outcome: Verdict) -> list[str]:
    """The models of the emotion section: prior, best baseline, teacher, and the study's model."""
    names = ["prior", outcome.baseline, *(["teacher"] if "teacher" in results.models else []), outcome.leader]
    return list(dict.fromkeys(names))


def _findings(results: Results) -> dict[str, str]:
    """The sentence that each study supports or does not, empty where it was not run."""
    signal, transfer, pseudo = results.signal, results.transfer_study, results.pseudo_label_study
    return {
        "signal_finding": "" if signal is None else signal_sentence(signal, results.metrics),
        "transfer_finding": "" if transfer is None else transfer_sentence(transfer, results.metrics),
        "pseudo_finding": "" if pseudo is None else pseudo_label_sentence(pseudo, results.metrics),
    }


def _points(
    study: TransferStudy | PseudoLabelStudy | None, reference: str, results: Results
) -> list[tuple[str, Cell, Cell]]:
    """Each point of a study with its score and its difference to the study's reference."""
    if study is None:
        return []
    rule = results.metrics[PRIMARY]
    return [
        (
            point.model,
            score_cell(study, point.model, PRIMARY),
            difference_cell(study, point.model, reference, PRIMARY, rule),
        )
        for point in study.points
    ]


def _trust_figures(results: Results, outcome: Verdict) -> list[figures.Drawing | None]:
    return [
        figures_trust.reliability(results, [outcome.leader, results.reference]),
        figures_trust.human_ceiling(results, outcome.leader),
    ]


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
    return [(name, found) for name, found in manifest.rejected.items() if found is not None and found.count]


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
