"""A metric needs no edit of the report: the table of metrics and `results.json` say everything about it."""

import dataclasses

import pytest

from emocap.evaluation.metrics import METRICS
from emocap.report.text import metric_name

from .synthetic import comparison_parts
from .test_page import report_of

NAME = "new_metric"


@pytest.fixture
def with_new_metric(run_dir):
    """A run whose results have a metric that the table of metrics lacks, with values outside 0 to 1."""

    def add(it):
        it["metrics"][NAME] = {"higher_is_better": True}
        it["ceiling"][NAME] = 12.5
        for part in comparison_parts(it):
            for number, (model, scores) in enumerate(part["models"].items()):
                scores[NAME] = number - 3.5
                part["intervals"][model][NAME] = [number - 4.0, number - 3.0]

    run_dir.change("results.json", add)
    return run_dir


def test_shows_unknown_metric_under_its_own_name(with_new_metric):
    page = report_of(with_new_metric)
    assert "All 18 metrics" in page.text
    assert f"{NAME} ↑ (higher is better) −3.500 [−4.000, −3.000]" in page.text
    assert NAME not in page.cells["Model"]


def test_table_entry_is_all_a_metric_needs(with_new_metric, monkeypatch):
    entry = dataclasses.replace(
        METRICS["coverage_error"], name=NAME, display_name="Signed score", bounded=False, higher_is_better=True,
        in_summary=True, in_figure=True,
    )  # fmt: skip
    monkeypatch.setitem(METRICS, NAME, entry)
    with_new_metric.change("results.json", lambda it: it["ceiling"].update({NAME: 12.25}))
    page = report_of(with_new_metric)
    assert metric_name(NAME) == "Signed score"
    assert page.cells["Model"][-1].startswith("Signed score")
    assert page.cells["oracle"][-1] == "12.250"
    assert page.text.count("Signed score ↑") >= 3  # short table, all metrics, figure


def test_metric_that_a_run_lacks_is_left_out(run_dir):
    run_dir.change("results.json", lambda it: it["metrics"].pop("micro_f1"))
    page = report_of(run_dir)
    assert "All 16 metrics" in page.text
    assert not any(cell.startswith("Micro F1") for cell in page.cells["Model"])
