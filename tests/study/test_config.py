"""Configuration: defaults, overrides, and one line for every contradiction."""

from pathlib import Path

import pytest
import yaml

from emocap.errors import EmocapError
from emocap.study.config.loading import load_config

MINIMAL = "target: {format: table, path: pairs.csv}\n"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def study(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "study.yaml"
        path.write_text(text)
        return path

    return write


def test_defaults_follow_the_design(study) -> None:
    config = load_config(study(MINIMAL))
    assert config.source is None
    assert (config.pseudo_labels.p, config.pseudo_labels.k, config.pseudo_labels.fraction) == (4, None, 0.1)
    assert config.student.epochs == 1
    assert config.transfer.n_transferred is None
    assert config.teacher.optimizer == "adamw"


def test_overrides_replace_file_values(study) -> None:
    path = study(MINIMAL + "teacher: {epochs: 3}\n")
    config = load_config(
        path,
        ["teacher.learning_rate=5e-5", "transfer.AnB+.epochs=7", "features=null", "data_root=/x", "target.images=pics"],
    )
    assert config.teacher.epochs == 3
    assert config.teacher.learning_rate == 5e-5
    assert config.transfer.AnB_plus.epochs == 7
    assert config.features is None
    assert config.data_root == Path("/x")
    assert config.target.images == Path("pics")


def test_override_changes_no_anchored_copy(study) -> None:
    path = study(MINIMAL + "teacher: &train {epochs: 3}\nstudent: *train\n")
    config = load_config(path, ["student.epochs=1"])
    assert (config.teacher.epochs, config.student.epochs) == (3, 1)


def test_dump_loads_as_same_configuration(study) -> None:
    config = load_config(study(MINIMAL))
    assert load_config(study(yaml.safe_dump(config.dump()))) == config
    assert "AnB+" in config.dump()["transfer"]


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (MINIMAL + "teachr: {}\n", [], "teachr: unknown key"),
        (MINIMAL + "teacher: {epoch: 3}\n", [], "teacher.epoch: unknown key"),
        ("name: x\n", [], "target: Field required"),
        ("target: {format: tsv, path: a}\n", [], "target: format is 'tsv', expected one of socratis"),
        (MINIMAL + "splits: {train: .5, validation: .1, test: .2}\n", [], "sum to 0.8, expected 1"),
        (MINIMAL + "features: {extractor: gird}\n", [], "extractor is 'gird', expected one of grid"),
        (MINIMAL, ["teacher.epochs=many"], r"teacher\.epochs: .*found 'many'"),
        (MINIMAL, ["teacher.epochs"], "expected KEY.KEY=VALUE"),
        (MINIMAL, ["name.first=a", "name.first.b=c"], "has no keys below it"),
        (MINIMAL, ["pseudo_labels.fraction=2"], r"pseudo_labels\.fraction: .*found 2"),
        (MINIMAL, ["name=../evil"], "name: .*found '../evil'"),
        ("target: [\n", [], "not valid YAML at line 2"),
        ("- a\n", [], "holds list, expected keys"),
        ("1: 2\n" + MINIMAL, [], "study.yaml: "),
        ("name: 2020-13-45\n", [], "a value cannot be read"),
        ("[" * 5000, [], "not valid YAML"),
        ("target: &a [*a]\n", [], "not valid YAML"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
            "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
            [],
            "a value cannot be read",
        ),
        (MINIMAL, ["seed=2020-99-99"], "a value cannot be read"),
        (MINIMAL, ["teacher.learning_rate=.inf"], "finite"),
        (MINIMAL + "folds: 1\n", [], "folds: .*greater than or equal to 2, found 1"),
        (MINIMAL + "seeds: [1, 1]\n", [], "seeds: has a value twice"),
        (MINIMAL + "seeds: []\n", [], "seeds: .*at least 1 item"),
        (MINIMAL + "label_aggregation: both\n", [], "label_aggregation: .*'union' or 'votes'"),
        (MINIMAL + "transfer: {layers: [0, 2]}\n", [], r"transfer\.layers needs a source or a labelled_source"),
        (MINIMAL + "pseudo_labels: {study: {p: [1]}}\n", [], r"pseudo_labels\.study needs a source"),
        (
            MINIMAL + "source: {format: table, path: b}\npseudo_labels: {study: {controls: [random]}}\n",
            [],
            "random, but without k or min_agreement the sample is random already",
        ),
        (MINIMAL + "pseudo_labels: {study: {p: [1, 1]}}\n", [], r"study\.p: has a value twice"),
        (
            MINIMAL + "evaluation: {reference: studnt}\n",
            [],
            r"reference names 'studnt', but this study has prior, tfidf",
        ),
        (MINIMAL + "evaluation: {ensemble: [AnB]}\n", [], r"ensemble names 'AnB', but this study has prior, tfidf"),
        (MINIMAL + "baselines: {names: [forest]}\n", [], r"baselines\.names\.0: "),
        (MINIMAL + "baselines: {names: [image_probe]}\n", [], "'image_probe', which reads images, but .* has none"),
        (MINIMAL + "evaluation: {text_alone: true}\n", [], "every model of this study sees captions alone"),
        ("target: !!python/object/apply:os.system ['true']\n", [], "not valid YAML"),
    ],
)
def test_names_fault_in_one_line(study, text: str, overrides: list[str], message: str) -> None:
    with pytest.raises(EmocapError, match=message) as error:
        load_config(study(text), overrides)
    assert "\n" not in str(error.value)
    assert "study.yaml" in str(error.value) or "--set" in str(error.value)


def test_reports_missing_file_in_one_line(tmp_path) -> None:
    with pytest.raises(EmocapError, match=r"none\.yaml: no such file"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("configs/*.yaml"), *ROOT.glob("src/emocap/study/presets/*.yaml")]), ids=lambda p: p.stem
)
def test_presets_are_valid(path: Path) -> None:
    assert load_config(path).name == path.stem


def test_founding_preset_follows_founding_study() -> None:
    config = load_config(ROOT / "configs" / "founding.yaml")
    assert (config.teacher.optimizer, config.teacher.epochs, config.teacher.batch_size) == ("adam", 50, 64)
    assert (config.model.max_length, config.model.pooling, config.min_count) == (32, "pooler", 100)
    assert (config.pseudo_labels.p, config.pseudo_labels.k, config.pseudo_labels.fraction) == (4, None, 0.1)
    assert config.pseudo_labels.label_type == "hard"
    assert (config.student.epochs, config.transfer.AnB.epochs, config.transfer.AnB_plus.epochs) == (1, 10, 10)
    assert config.features is not None
    assert config.features.extractor == "frcnn-vg"
    assert config.features.settings == {"min_boxes": 36, "max_boxes": 36}


def test_units_and_models_follow_the_yaml(study) -> None:
    config = load_config(study(MINIMAL + "folds: 2\nseeds: [3, 5]\nlabelled_source: {format: table, path: b}\n"))
    assert config.units == [(3, 0), (3, 1), (5, 0), (5, 1)]
    assert config.models == ["teacher", "labelled_AnB", "labelled_AnB+"]
    assert config.members == ["teacher", "labelled_AnB+"]
    alone = load_config(study(MINIMAL + "seed: 4\n"))
    assert (alone.units, alone.members) == ([(4, None)], []), "one model is no ensemble"
    assert load_config(study(MINIMAL + "seeds: [0, 1]\n")).members == ["teacher"]


def test_captioner_training_keeps_defaults_and_refuses_unsupported(tmp_path) -> None:
    source = {"format": "coco", "path": "c.json", "images": "pictures"}

    def load(**training):
        study = {"target": {"format": "table", "path": "t.csv"}, "source": source, "captioner": {"training": training}}
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
        return load_config(tmp_path / "study.yaml").captioner.training

    found = load(epochs=1)
    assert (found.epochs, found.learning_rate, found.head_learning_rate, found.select_by) == (1, 5e-5, 5e-4, None)
    for training in ({"loss": "focal"}, {"select_by": "bce"}, {"layer_decay": 0.9}):
        with pytest.raises(EmocapError, match="a captioner has one loss"):
            load(**training)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("targets: votes\n", "the key 'targets' has been renamed; write 'label_aggregation' instead"),
        (
            "source: {format: table, path: b}\npseudo_labels: {targets: hard}\n",
            "pseudo_labels: the key 'targets' has been renamed; write 'label_type' instead",
        ),
        (
            "source: {format: table, path: b}\npseudo_labels: {study: {targets: [hard]}}\n",
            r"pseudo_labels\.study: the key 'targets' has been renamed; write 'label_type' instead",
        ),
    ],
)
def test_renamed_key_names_its_successor(study, text: str, message: str) -> None:
    with pytest.raises(EmocapError, match=message) as error:
        load_config(study(MINIMAL + text))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (MINIMAL + "seed: 1\nseed: 2\n", "'seed' is there twice, first in line"),
        (MINIMAL + "teacher:\n  epochs: 1\n  'epochs': 2\n", "'epochs' is there twice"),
        (MINIMAL + "teacher: {epochs: 1, epochs: 1}\n", "'epochs' is there twice"),
    ],
)
def test_names_key_and_lines_of_a_key_given_twice(study, text, where) -> None:
    with pytest.raises(EmocapError, match=where) as error:
        load_config(study(text))
    assert "study.yaml: not valid YAML at line" in str(error.value)


def test_merged_key_may_be_given_again(study) -> None:
    text = MINIMAL + "teacher: &one {epochs: 1, batch_size: 8}\nstudent: {<<: *one, epochs: 3}\n"
    config = load_config(study(text))
    assert (config.student.epochs, config.student.batch_size) == (3, 8)
