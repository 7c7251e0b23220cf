"""The examples of docs/DATA_FRAMES.md run."""

import re
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "DATA_FRAMES.md"


def test_examples_of_the_document_run(tmp_path, monkeypatch) -> None:
    for library in ("pandas", "polars", "datasets"):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOCAP_CACHE", str(tmp_path / "cache"))
    examples = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(examples) == 5
    names: dict = {}
    for example in examples:
        exec(example, names)
