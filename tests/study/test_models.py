"""The table of models: complete, consistent, and the only place that knows a model by its name."""

import re
from pathlib import Path

import pytest

from emocap.errors import EmocapError
from emocap.evaluation import baselines
from emocap.study import models
from emocap.study.config.loading import load_config
from emocap.study.models import BASELINES, MODELS, trained_models


def test_start_and_corpus_are_known() -> None:
    for entry in MODELS.values():
        assert entry.starts_from in (None, "backbone", *MODELS), entry.name
        assert entry.corpus in (None, "source", "labelled_source"), entry.name
        assert set(entry.features_from) <= {"target", "source", "labelled_source"}, entry.name


def test_baselines_are_those_that_can_be_fitted() -> None:
    assert set(BASELINES) == set(baselines.BASELINES)


@pytest.mark.parametrize(
    ("corpora", "expected"),
    [
        (["target"], ["teacher"]),
        (["target", "source"], ["teacher", "student", "AnB", "AnB+"]),
        (["target", "labelled_source"], ["teacher", "labelled_AnB", "labelled_AnB+"]),
    ],
)
def test_trained_models_follow_the_corpora(corpora, expected) -> None:
    assert trained_models(corpora) == expected


def test_controls_follow_the_setting(tiny_study) -> None:
    def controls(named, **changes):
        return load_config(tiny_study(pseudo_labels={"controls": named}, **changes)).controls

    both = ["student_own", "AnB+_own", "student_shuffled", "AnB+_shuffled"]
    assert controls(["shuffled", "own_texts"]) == both
    assert load_config(tiny_study(pseudo_labels={})).controls == both, "in every study that has a source"
    assert controls(["own_texts"]) == both[:2]
    assert controls([]) == controls(["own_texts"], source=None) == []
    with pytest.raises(EmocapError, match="twice"):
        controls(["shuffled", "shuffled"])


def test_training_settings_are_found_by_key(tiny_study) -> None:
    config = load_config(tiny_study(), ["transfer.AnB.epochs=7", "transfer.AnB+.epochs=8", "teacher.epochs=9"])
    epochs = {name: config.training_settings(name).epochs for name in ("AnB", "AnB+", "BnB+", "teacher")}
    assert epochs == {"AnB": 7, "AnB+": 8, "BnB+": 8, "teacher": 9}


def test_no_code_parses_a_model_name() -> None:
    root = Path(models.__file__).parents[1]
    parsed = re.compile(
        r"""(endswith|removesuffix|rstrip)\(["']\+["']\)|startswith\(["'](labelled|AnB|BnB)|["']\+["'] in """
    )
    assert [str(path) for path in root.rglob("*.py") if parsed.search(path.read_text())] == []
