"""What can be refused before a corpus is read is refused before."""

import pytest

from emocap.errors import EmocapError
from emocap.study.config.loading import load_config
from emocap.study.stages import prepare
from emocap.study.unit import Study


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transfer": {"n_transferred": 9}}, r"transfer\.n_transferred is 9, but .* has 3 layers"),
        ({"model": {"max_length": 512}}, r"model\.max_length is 512, but .* takes at most"),
        (
            {"features": {"extractor": "grid", "settings": {"rows": 0}}},
            "extractor grid: rows is 0, expected an integer",
        ),
        ({"features": {"extractor": "grid", "settings": {"lines": 2}}}, "extractor grid: unknown setting 'lines'"),
    ],
)
def test_refuses_settings_before_any_corpus_is_read(tiny_study, tiny_bert, tmp_path, monkeypatch, changes, message):
    monkeypatch.setattr(prepare, "read_corpus", None)
    if "model" in changes:
        changes = {"model": changes["model"] | {"backbone": str(tiny_bert)}}
    study = Study(load_config(tiny_study(**changes)), tmp_path)
    with pytest.raises(EmocapError, match=message):
        prepare.prepare(study)
