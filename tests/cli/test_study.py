"""The demo, run by its command."""

import json
import re
import sys
from functools import partial

import pytest

from emocap.cli.main import main
from emocap.demo import corpora
from emocap.progress import logger


def test_demo_command_runs_the_whole_study(tiny_bert, tmp_path, monkeypatch, capsys) -> None:
    small = partial(corpora.write_demo_corpora, n_target=80, n_source_images=20)
    monkeypatch.setattr(corpora, "write_demo_corpora", small)
    monkeypatch.setattr(logger, "handlers", [])
    settings = [f"model.backbone={tiny_bert}", "min_count=15", "model.max_length=16", "teacher.epochs=1"]
    options = [word for setting in settings for word in ("--set", setting)]
    monkeypatch.setattr(sys, "argv", ["emocap", "demo", "--run-dir", str(tmp_path / "a run #1"), *options])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for model in ("prior", "teacher", "student", "AnB", "AnB+", "oracle"):
        assert re.search(rf"{re.escape(model)}\W+(\d\.\d{{3}}\W+){{7}}", shown)
    assert "report.html" in shown.replace("\n", "")
    results = json.loads((tmp_path / "a run #1" / "results.json").read_text())
    assert results["ceiling"]["mean_average_precision"] > results["models"]["prior"]["mean_average_precision"]
    assert (tmp_path / "a run #1" / "corpora" / "socratis" / "oracle.parquet").is_file()
