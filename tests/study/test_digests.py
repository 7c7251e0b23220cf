"""SHA-256 of outputs and inputs: what was damaged is written again, and only that."""

import json
import logging
import os

import pytest

from emocap.errors import EmocapError
from emocap.study import digests
from emocap.study.cache import RunDir
from emocap.study.digests import KnownDigests, damaged, digests_of, require_undamaged

OUTPUTS = ["model", "model/a", "points.json"]


class Stages:
    """Two stages; the second reads the first's outputs. `ran` has the names of those that ran."""

    def __init__(self, folder):
        self.folder, self.ran, self.text = folder, [], "weights"

    def go(self, outputs=OUTPUTS):
        self.ran = []
        run = RunDir(self.folder)
        run.stage("first", self.write, config=1, code_deps=[], outputs=outputs, invalidates=["results.json"])
        run.stage("second", self.report, config=1, code_deps=[], inputs=["first"], outputs=["results.json"])
        return self.ran

    def write(self):
        self.ran.append("first")
        for name in ("a", "b"):
            folder = self.folder / "model" / name
            if not folder.is_dir():
                folder.mkdir(parents=True)
                (folder / "weights").write_text(self.text)
                (folder / "history.json").write_text(json.dumps({"seconds": os.urandom(4).hex()}))
        (self.folder / "points.json").write_text('{"points": 2}')

    def report(self):
        self.ran.append("second")
        (self.folder / "results.json").write_text('{"score": 1}')


@pytest.fixture
def stages(tmp_path):
    return Stages(tmp_path / "run")


def flip(path, place=0):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "delete_folder"])
def test_damaged_output_is_written_again_alone(stages, damage, caplog):
    assert stages.go() == ["first", "second"]
    weights, other = (stages.folder / "model" / name / "weights" for name in ("a", "b"))
    written = other.stat().st_mtime_ns
    if damage == "flip":
        flip(weights)
    elif damage == "truncate":
        os.truncate(weights, 3)
    elif damage == "delete":
        weights.unlink()
    else:
        (weights.parent / "history.json").unlink()
        weights.unlink()
        weights.parent.rmdir()
    with caplog.at_level(logging.WARNING, logger="emocap"):
        assert stages.go() == ["first"], "the same bytes were written, so the second stage is up to date"
    lost = f"{weights} was" if damage != "delete_folder" else f"{weights.parent / 'history.json'} and 1 other were"
    message = f"first: {lost} deleted or changed since the stage finished; the stage runs again for what is lost"
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [message]
    assert weights.read_text() == "weights"
    assert other.stat().st_mtime_ns == written
    assert stages.go() == []


def test_repair_with_other_bytes_reruns_later_stages(stages):
    stages.go()
    flip(stages.folder / "model/a/weights")
    stages.text = "others"
    assert stages.go() == ["first", "second"]
    assert stages.go() == []
    flip(stages.folder / "results.json")
    assert stages.go() == ["second"]


def test_interrupted_repair_still_compares(stages, monkeypatch):
    stages.go()
    flip(stages.folder / "model/a/weights")
    stages.text = "others"
    write = stages.write

    def interrupt():
        write()
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        stages.go()
    monkeypatch.setattr(stages, "write", write)
    assert stages.go() == ["first", "second"]


def test_files_added_later_are_no_damage(stages):
    stages.go()
    (stages.folder / "model/a/evaluation.json").write_text("{}")
    assert stages.go() == []


def test_files_that_a_later_stage_adds_are_its_own(stages, tmp_path):
    def add():
        (stages.folder / "model/a/evaluation.json").write_text("1")
        (stages.folder / "model/later").write_text("1")

    def go(config):
        stages.go()
        run = RunDir(stages.folder)
        run.stage("third", add, config=config, code_deps=[], outputs=["model/later"], adds=["evaluation.json"])
        return stages.ran

    go(1)
    flip(stages.folder / "points.json")
    assert go(1) == ["first"]
    recorded = [digests.recorded_outputs(stages.folder / f"stages/{name}.json") for name in ("first", "third")]
    assert set(recorded[1]) == {"model/a/evaluation.json", "model/later"}
    assert not set(recorded[0]) & set(recorded[1])
    flip(stages.folder / "model/a/evaluation.json")
    assert go(1) == []
    assert (stages.folder / "model/a/evaluation.json").read_text() == "1"


def test_outputs_of_earlier_version_are_taken_and_recorded(stages, caplog):
    stages.go()
    for path in (stages.folder / "stages").iterdir():
        record = json.loads(path.read_text())
        del record["outputs"]
        path.write_text(json.dumps(record))
    with caplog.at_level(logging.INFO, logger="emocap"):
        assert stages.go() == []
    assert "an earlier version recorded no SHA-256 of its outputs" in caplog.text
    flip(stages.folder / "model/a/weights")
    assert stages.go() == ["first"]


@pytest.mark.parametrize("text", ["{", "[]", '{"fingerprint": 1}', ""])
def test_damaged_record_reruns_its_stage(stages, text):
    stages.go()
    (stages.folder / "stages/first.json").write_text(text)
    assert "first" in stages.go()
    assert stages.go() == []


@pytest.mark.parametrize("name", ["first.json", "second.begun.json"])
def test_folder_in_place_of_record_is_refused(stages, name):
    (stages.folder / "stages" / name).mkdir(parents=True)
    with pytest.raises(EmocapError, match=rf"stages/{name}: is a folder, expected the record of a stage; remove it"):
        stages.go()


def test_damaged_file_is_refused_where_it_is_read(stages):
    stages.go()
    require_undamaged(stages.folder, "second", ["results.json"])
    flip(stages.folder / "results.json")
    with pytest.raises(EmocapError, match=r"results\.json: missing or changed since the stage second wrote it; run"):
        require_undamaged(stages.folder, "second", ["results.json"])


def test_digests_leave_out_records_and_temporary_files(tmp_path):
    for name in ("unit/stages/a.json", "unit/.lock", "unit/.b.npy.7.part", "unit/model/.old.x.old/c", "unit/model/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    recorded = digests_of(tmp_path, ["unit", "unit/model", "absent"])
    assert list(recorded) == ["unit/model/d"]
    assert damaged(tmp_path, recorded) == []


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that were read."""
    names, digest = [], digests._digest
    monkeypatch.setattr(digests, "_digest", lambda path: names.append(path.name) or digest(path))
    return names


def test_unchanged_inputs_are_hashed_once(tmp_path, hashed, monkeypatch):
    monkeypatch.setattr(digests, "SETTLED_NS", -(10**12))
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (images / name).write_bytes(b"0123")
    first = KnownDigests(tmp_path / "known").of([images, tmp_path / "absent"])
    assert first[-1] == [str(tmp_path / "absent"), None]
    assert KnownDigests(tmp_path / "known").of([images, tmp_path / "absent"]) == first
    assert sorted(hashed) == ["a.jpg", "b.jpg"]
    (images / "a.jpg").write_bytes(b"0124")
    assert KnownDigests(tmp_path / "known").of([images])[0] != first[0]
    assert hashed[2:] == ["a.jpg"]
    flip(tmp_path / "known", 20)
    assert KnownDigests(tmp_path / "known").of([images])[1] == first[1], "damaged digests are not believed"
    assert sorted(hashed[3:]) == ["a.jpg", "b.jpg"]


def test_file_that_has_just_changed_is_hashed_again(tmp_path, hashed):
    (tmp_path / "a.jpg").write_bytes(b"0")
    for _ in range(2):
        KnownDigests(tmp_path / "known").of([tmp_path / "a.jpg"])
    assert hashed == ["a.jpg", "a.jpg"], "its time stamp may not tell another change in the same moment"
