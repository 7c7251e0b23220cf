"""Stages run once, again when something they depend on changed, and never two runs at once."""

import pytest

from emocap.errors import EmocapError
from emocap.study import cache as run_dir
from emocap.study.cache import RunDir


@pytest.fixture
def stage(tmp_path):
    """Runs a stage that writes its call's number; gives whether it ran."""
    calls = []

    def call(config=1, files=(), rooms=("emotions",), after_config=None) -> bool:
        run = RunDir(tmp_path / "run")
        if after_config is not None:
            run.fingerprints["before"] = str(after_config)

        def work() -> None:
            calls.append(config)
            (tmp_path / "run" / "out.txt").write_text(str(len(calls)))

        after = ("before",) if after_config is not None else ()
        return run.stage("s", work, config=config, rooms=rooms, files=files, after=after, outputs=["out.txt"])

    return call


def test_a_finished_stage_is_not_run_again(stage) -> None:
    assert stage()
    assert not stage()


def test_another_configuration_input_or_stage_before_runs_it_again(stage, tmp_path) -> None:
    file = tmp_path / "input"
    file.write_text("a")
    assert stage(files=[file])
    assert not stage(files=[file])
    file.write_text("b")
    assert stage(files=[file])
    assert stage(files=[file], config=2)
    assert stage(files=[file], config=2, after_config="x")
    assert stage(files=[file], config=2, after_config="y")
    assert not stage(files=[file], config=2, after_config="y")


def test_changed_code_runs_it_again(stage, monkeypatch) -> None:
    assert stage()
    monkeypatch.setattr(run_dir, "code_hash", lambda room: "other")
    assert stage()


def test_a_lost_output_runs_it_again(stage, tmp_path) -> None:
    assert stage()
    (tmp_path / "run" / "out.txt").unlink()
    assert stage()


def test_a_killed_stage_keeps_its_half_and_an_outdated_one_does_not(tmp_path) -> None:
    run = RunDir(tmp_path)
    seen = []

    def work(fails: bool) -> None:
        half = tmp_path / "half"
        seen.append(half.exists())
        half.mkdir(exist_ok=True)
        if fails:
            raise KeyboardInterrupt

    def go(config: int, fails: bool) -> None:
        run.stage("s", lambda: work(fails), config=config, rooms=[], outputs=["half"])

    with pytest.raises(KeyboardInterrupt):
        go(1, True)
    go(1, False)
    assert seen == [False, True], "the second call finds what the killed one left"
    go(2, False)
    assert seen == [False, True, False], "a new configuration begins anew"


def test_code_hash_follows_the_code() -> None:
    assert run_dir.code_hash("emotions") == run_dir.code_hash("emotions") != run_dir.code_hash("files")
    assert run_dir.code_hash("corpora") != run_dir.code_hash("models")


def test_one_run_at_a_time(tmp_path) -> None:
    with RunDir(tmp_path).locked():
        with pytest.raises(EmocapError, match="another run is writing here"), RunDir(tmp_path).locked():
            pass
    with RunDir(tmp_path).locked():
        assert (tmp_path / ".lock").exists()


def test_a_run_directory_that_cannot_be_is_one_line(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmocapError, match="cannot be used as a folder to write in"), RunDir(tmp_path / "file").locked():
        pass
