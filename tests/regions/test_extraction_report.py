"""The report of an extraction."""

import pytest

from emocap.corpora.pairs import RejectedRow
from emocap.errors import EmocapError
from emocap.regions.extraction_report import read_report


def test_reports_damaged_report(tmp_path):
    (tmp_path / "report.json").write_text('{"n_images": 1}')
    with pytest.raises(EmocapError, match=r"report\.json: damaged"):
        read_report(tmp_path)


def test_reads_report_with_old_key(tmp_path):
    (tmp_path / "report.json").write_text(
        '{"n_images": 1, "missing": ["a"], "quarantined": [{"where": "b", "reason": "not an image"}]}'
    )
    assert read_report(tmp_path).rejected == [RejectedRow("b", "not an image")]
