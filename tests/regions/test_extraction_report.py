"""The report of an extraction."""

import pytest

from emocap.corpora.pairs import RejectedRow
from emocap.errors import EmocapError
from emocap.regions.extraction_report import ExtractionReport, log_rejected, read_report, require_described


def test_reports_damaged_report(tmp_path):
    (tmp_path / "report.json").write_text('{"n_images": 1}')
    with pytest.raises(EmocapError, match=r"report\.json: damaged"):
        read_report(tmp_path)


def test_reads_report_with_old_key(tmp_path):
    (tmp_path / "report.json").write_text(
        '{"n_images": 1, "missing": ["a"], "quarantined": [{"where": "b", "reason": "not an image"}]}'
    )
    assert read_report(tmp_path).rejected == [RejectedRow("b", "not an image")]


def test_logs_shares_with_first_of_each(caplog):
    log_rejected(ExtractionReport(17, ["a", "b"], [RejectedRow("c", "truncated")]), "target: ", "; captions only")
    assert caplog.messages == [
        "target: 2 of 20 images are missing, such as a; captions only",
        "target: 1 of 20 images rejected, such as c: truncated",
    ]


def test_refuses_run_without_usable_image():
    require_described(ExtractionReport(0, [], []))
    require_described(ExtractionReport(1, ["a"], [RejectedRow("b", "truncated")]))
    with pytest.raises(EmocapError, match="none of 3 images can be used; the first: c: truncated"):
        require_described(ExtractionReport(0, ["a", "b"], [RejectedRow("c", "truncated")]))
    with pytest.raises(EmocapError, match="none of 2 images can be used; the first: a: no such image"):
        require_described(ExtractionReport(0, ["a", "b"], []))
