"""Stages run once, again when something they depend on changed, and never two runs at once."""

import ast
from functools import partial
from pathlib import Path

import pytest

from emocap.errors import EmocapError
from emocap.study import cache
from emocap.study.cache import RunDir
from emocap.study.config.loading import load_config
from emocap.study.run import _draw_corpora
from emocap.study.stages.table import stages_of


@pytest.fixture
def stage(tmp_path):
    """Runs a stage that writes its call's number; gives whether it ran."""
    calls = []

    def call(config=1, files=(), code_deps=("emocap.emotions",), input_config=None) -> bool:
        run = RunDir(tmp_path / "run")
        if input_config is not None:
            run.fingerprints["before"] = str(input_config)

        def work() -> None:
            calls.append(config)
            (tmp_path / "run" / "out.txt").write_text(str(len(calls)))

        inputs = ("before",) if input_config is not None else ()
        return run.stage("s", work, config=config, code_deps=code_deps, files=files, inputs=inputs, outputs=["out.txt"])

    return call


def test_skips_finished_stage(stage) -> None:
    assert stage()
    assert not stage()


def test_changed_configuration_or_input_reruns_stage(stage, tmp_path) -> None:
    file = tmp_path / "input"
    file.write_text("a")
    assert stage(files=[file])
    assert not stage(files=[file])
    file.write_text("b")
    assert stage(files=[file])
    assert stage(files=[file], config=2)
    assert stage(files=[file], config=2, input_config="x")
    assert stage(files=[file], config=2, input_config="y")
    assert not stage(files=[file], config=2, input_config="y")


def test_changed_code_reruns_stage(stage, monkeypatch) -> None:
    assert stage()
    monkeypatch.setattr(cache, "code_hash", lambda modules: "other")
    assert stage()


def test_lost_output_reruns_stage(stage, tmp_path) -> None:
    assert stage()
    (tmp_path / "run" / "out.txt").unlink()
    assert stage()


def test_killed_stage_resumes_and_outdated_stage_restarts(tmp_path) -> None:
    run = RunDir(tmp_path)
    seen = []

    def work(fails: bool) -> None:
        half = tmp_path / "half"
        seen.append(half.exists())
        half.mkdir(exist_ok=True)
        if fails:
            raise KeyboardInterrupt

    def go(config: int, fails: bool) -> None:
        run.stage("s", lambda: work(fails), config=config, code_deps=[], outputs=["half"])

    with pytest.raises(KeyboardInterrupt):
        go(1, True)
    go(1, False)
    assert seen == [False, True], "the second call finds what the killed one left"
    go(2, False)
    assert seen == [False, True, False], "a new configuration begins anew"


def test_code_hash_follows_the_code() -> None:
    emotions, files = cache.code_hash(["emocap.emotions"]), cache.code_hash(["emocap.files"])
    assert emotions == cache.code_hash(["emocap.emotions"]) != files
    assert cache.code_hash(["emocap.corpora.read"]) != cache.code_hash(["emocap.models.classifier"])


@pytest.fixture
def outdated(tiny_study, monkeypatch):
    """Gives the stages of a study that run again once the source of a module is edited by a function."""
    config = load_config(tiny_study(labelled_source={"format": "table", "path": "moods.jsonl"}))
    stages = [stage for scope in ("study", "unit", "units") for stage in stages_of(config, scope)]

    def hashes() -> dict[str, str]:
        return {stage.name: cache.code_hash(stage.modules(config)) for stage in stages}

    def after(module, edit) -> set[str]:
        before, source = hashes(), cache._source
        assert edit(source(module)) != source(module), "the edit changes the file"
        with monkeypatch.context() as patch:
            patch.setattr(cache, "_source", lambda name: edit(source(name)) if name == module else source(name))
            return {name for name, value in hashes().items() if value != before[name]}

    return after


def test_code_that_no_stage_imports_invalidates_nothing(outdated) -> None:
    assert outdated("emocap.regions.show", lambda source: source + b"\nCOLOUR = 1\n") == set()
    assert outdated("emocap.report.page", lambda source: source + b"\nCOLOUR = 1\n") == set()


def test_changed_loss_invalidates_what_trains_only(outdated) -> None:
    changed = outdated("emocap.training.losses", lambda source: source + b"\nEPSILON = 1e-6\n")
    trained = {"teacher", "student", "AnB", "AnB+", "labelled", "labelled_AnB", "labelled_AnB+"}
    assert trained <= changed
    assert not changed & {"prepare", "features", "splits", "baselines", "scores", "selection"}


def test_changed_display_of_a_model_invalidates_nothing(outdated) -> None:
    assert outdated("emocap.study.models", lambda source: source.replace(b'marker="|"', b'marker="o"')) == set()


def test_changed_loss_settings_invalidate_what_trains_only(outdated) -> None:
    changed = outdated("emocap.training.loss_settings", lambda source: source + b"\nEPSILON = 1e-6\n")
    assert "teacher" in changed
    assert not changed & {"prepare", "features", "splits"}


def test_package_files_hold_no_code() -> None:
    root = Path(cache.__file__).parents[1]
    packages = [path for path in root.rglob("__init__.py") if path.parent != root]
    assert [path for path in packages if len(ast.parse(path.read_text()).body) != 1] == [], "imports do not show them"


def test_changed_extractor_invalidates_what_extracts_only(outdated) -> None:
    edit = b"\nCELLS = 1\n"
    assert outdated("emocap.regions.extractors.grid", lambda source: source + edit) == {"features", "familiarity"}
    assert outdated("emocap.regions.extractors.vit", lambda source: source + edit) == set(), "the study uses the grid"


def test_comments_and_docstrings_invalidate_nothing(outdated) -> None:
    assert outdated("emocap.training.losses", lambda source: source + b"\n# a comment\n") == set()
    assert outdated("emocap.training.losses", lambda source: source.replace(b'"""', b'"""Edited. ', 1)) == set()


def test_moved_module_invalidates_once_at_most(monkeypatch) -> None:
    modules = cache.reachable_modules(["emocap.emotions"])
    before = cache.code_hash(["emocap.emotions"])
    source = cache._source
    monkeypatch.setattr(cache, "reachable_modules", lambda _: {f"{module}_moved" for module in modules})
    monkeypatch.setattr(cache, "_source", lambda name: source(name.removesuffix("_moved")))
    assert cache.code_hash(["emocap.emotions_moved"]) == before, "the same code under another name"


def test_import_graph_sees_all_but_known_imports() -> None:
    root = Path(cache.__file__).parents[1]
    dynamic = {str(path.relative_to(root)) for path in root.rglob("*.py") if "import_module(" in path.read_text()}
    optional_packages = {"corpora/interop/columns.py", "regions/images.py"}  # these import other packages only
    interop = {"corpora/conversions.py"}  # which no stage reads with
    assert dynamic == {"__init__.py", "regions/extractors/registry.py"} | optional_packages | interop


def test_refuses_second_run_at_once(tmp_path) -> None:
    with RunDir(tmp_path).locked():
        with pytest.raises(EmocapError, match="another run is writing here"), RunDir(tmp_path).locked():
            pass
    with RunDir(tmp_path).locked():
        assert (tmp_path / ".lock").exists()


def test_reports_unusable_run_directory(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmocapError, match="cannot be used as a folder to write in"), RunDir(tmp_path / "file").locked():
        pass


def test_other_corpus_size_draws_again(tmp_path) -> None:
    sizes = []

    def draw(folder: Path, n_target: int) -> None:
        folder.mkdir(exist_ok=True)
        sizes.append(n_target)

    draw.__module__ = "emocap.demo.corpora"
    for n_target in (1200, 1200, 4800):
        _draw_corpora(RunDir(tmp_path), partial(draw, n_target=n_target), seed=0)
    assert sizes == [1200, 4800]
