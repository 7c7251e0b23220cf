"""`report.html`: one self-contained page that shows a study, made from its run directory alone."""

from pathlib import Path
from typing import Any

from jinja2 import Environment

from emocap.files import write_text
from emocap.html_templates import templates_of
from emocap.report.files.run import Run, read_run
from emocap.report.provenance import data_remarks, total_seconds
from emocap.report.rating_verdict import study_verdict
from emocap.report.recommendation import recommendation
from emocap.report.sections import SECTIONS
from emocap.report.summary import first_unit, tiles
from emocap.report.text import capitalized, counted, date_and_time, duration, metric_name, number
from emocap.study.models import display_name


def write_report(run_dir: Path) -> Path:
    """Write `report.html` into a run directory, completely or not at all.

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
    return render_page("report.html", **_context(run))


def render_page(template: str, **context: Any) -> str:
    """A page of the report's templates as HTML."""
    html = page_environment().get_template(template).render(**context)
    # JSON may contain half a surrogate pair, which UTF-8 cannot encode.
    return html.encode("utf-8", "replace").decode("utf-8")


def page_environment() -> Environment:
    """The templates of the report's pages with the filters that they use."""
    environment = templates_of("emocap.report")
    environment.filters |= {
        "capitalized": capitalized,
        "counted": counted,
        "date_and_time": date_and_time,
        "display": display_name,
        "duration": duration,
        "metric": metric_name,
        "number": number,
    }
    return environment


def _context(run: Run) -> dict[str, Any]:
    """What the page shows above its sections, the sections, and what their templates share."""
    outcome = study_verdict(run.results)
    contents = [(section, section.build(run)) for section in SECTIONS if section.has_data(run)]
    return {
        "run": run,
        "manifest": run.manifest,
        "results": run.results,
        "title": run.manifest.name or run.folder.resolve().name,
        "finished": max((stage.finished for stage in run.manifest.stages if stage.finished), default=None),
        "total_seconds": total_seconds(run.manifest),
        "first_unit": first_unit(run),
        "primary": metric_name(run.results.primary),
        "verdict": outcome,
        "verdict_rest": [*outcome.rest, *data_remarks(run.manifest)],
        "tiles": tiles(run, outcome),
        "recommendation": recommendation(
            run.results, outcome.model, (run.manifest.data.get("target") or {}).get("validation")
        ),
        "sections": [(section, content) for section, content in contents if content is not None],
    }
