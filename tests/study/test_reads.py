"""Each stage reads a table once, however many models and parts it needs it for."""

from collections import Counter

import pytest

from emocap.report.page import write_report
from emocap.study import run, unit
from emocap.study.cache import RunDir
from emocap.study.config.loading import load_config

ONE = {"epochs": 1, "learning_rate": 3e-3, "batch_size": 32}


@pytest.fixture
def reads(monkeypatch):
    """Counts how often each stage reads each table."""
    reads: Counter[tuple[str, str]] = Counter()
    stage, read, write, running = RunDir.stage, unit.read_parquet, run.write_manifest, []

    def named_stage(self, name, work, **options):
        running.append(name)
        return stage(self, name, work, **options)

    def named_manifest(*arguments):
        running.append("manifest")
        return write(*arguments)

    def counted_read(path):
        reads[running[-1], path.name] += 1
        return read(path)

    monkeypatch.setattr(RunDir, "stage", named_stage)
    monkeypatch.setattr(unit, "read_parquet", counted_read)
    monkeypatch.setattr(run, "write_manifest", named_manifest)
    return reads


def test_stages_read_each_table_once(tiny_study, tmp_path, reads) -> None:
    path = tiny_study(teacher=ONE, student=ONE | {"select_by": None}, transfer={"AnB": ONE, "AnB+": ONE})
    run.run_study(load_config(path), tmp_path / "run", report=write_report)
    assert reads["teacher", "target.parquet"] == reads["modality_ablation", "target.parquet"] == 1
    assert reads["student", "source.parquet"] == 1
    assert {read: n for read, n in reads.items() if n > 1} == {}


def test_units_share_what_belongs_to_the_study(tiny_study, tmp_path, reads) -> None:
    path = tiny_study(teacher=ONE, source=None, features=None, folds=2)
    run.run_study(load_config(path), tmp_path / "run", report=write_report)
    assert reads["evaluation", "target.parquet"] == 1
