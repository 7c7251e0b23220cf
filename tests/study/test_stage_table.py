"""The table of stages: every input, output and key that it names exists."""

from dataclasses import replace

import pytest

from emocap.cli.checks import check_stage
from emocap.errors import EmocapError
from emocap.study.cache import reachable_modules
from emocap.study.config.loading import load_config
from emocap.study.models import MODELS
from emocap.study.run import stage_names
from emocap.study.stages.table import STAGES, invalidated_by


def test_inputs_are_earlier_stages() -> None:
    names = list(STAGES)
    for number, stage in enumerate(STAGES.values()):
        assert set(stage.inputs) <= set(names[:number]), stage.name


def test_command_knows_all_stages_without_the_table() -> None:
    for name in (*STAGES, "report", "s0", "s1_f3"):
        check_stage(name)
    for name in ("techer", "entry.name", "s1_f"):
        with pytest.raises(EmocapError, match="no such stage"):
            check_stage(name)


def test_outputs_belong_to_one_stage() -> None:
    outputs = [output for stage in STAGES.values() for output in stage.outputs]
    assert len(outputs) == len(set(outputs))


def test_configuration_keys_exist(tiny_study) -> None:
    settings = {"held_out_images": 24, "training": {"epochs": 1}}
    dump = load_config(tiny_study(captioner=settings, pseudo_labels={"p": 1, "study": {"p": [2]}})).dump()
    for stage in STAGES.values():
        for key in (*stage.config_keys, *stage.additive_keys):
            value = dump
            for name in key.split("."):
                assert name in value, f"{stage.name}: {key}"
                value = value[name]


def test_prepare_removes_all_that_follows_but_features() -> None:
    removed = set(invalidated_by(STAGES["prepare"]))
    later = {output.split("/")[0] for stage in STAGES.values() for output in stage.outputs}
    assert later - removed == {
        *("target.parquet", "vocabulary.json", "ratings.json", "backbone.json", "data.json", "features")
    }


@pytest.mark.parametrize(("changes", "extra"), [({"source": None}, set()), ({}, {"scores", "student", "AnB+"})])
def test_stages_follow_the_configuration(tiny_study, changes, extra) -> None:
    names = set(stage_names(load_config(tiny_study(**changes))))
    assert {"prepare", "features", "splits", "teacher", "evaluation", "report"} | extra <= names
    assert bool(names & {"scores", "student"}) == bool(extra)


def test_stages_that_reach_models_depend_on_their_table(tiny_study) -> None:
    config = load_config(tiny_study())
    for stage in STAGES.values():
        reaches = "emocap.study.training_unit" in reachable_modules(stage.modules(config))
        assert stage.trains or not reaches, stage.name


def test_structure_of_models_leaves_out_their_display() -> None:
    entry = MODELS["AnB"]
    assert replace(entry, frozen=False).structure != entry.structure
    assert replace(entry, series=4, description="").structure == entry.structure
