"""`emocap train`: refusals before anything is trained."""

from .process import emocap


def test_refusals_are_one_line(tmp_path) -> None:
    data = tmp_path / "pairs.csv"
    data.write_text("caption,emotions\n" + "".join(f"caption {number},joy\n" for number in range(5)))
    done = emocap("train", data, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("emocap: pairs.csv: 5 rows to train on, expected at least 10")
    assert not (tmp_path / "runs").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    done = emocap("train", data, "--out", "mine", cwd=tmp_path)
    assert "was not written by emocap train" in done.stderr
    done = emocap("train", tmp_path / "none.csv", cwd=tmp_path)
    assert "none.csv" in done.stderr
    assert done.returncode == 1


def test_unusable_places_and_rows_are_refused(tmp_path) -> None:
    data = tmp_path / "pairs.csv"
    data.write_text("caption,emotions\n" + ",joy\n" * 20)
    done = emocap("train", data, "--out", data, cwd=tmp_path)
    assert done.stderr.splitlines()[-1].endswith("pairs.csv: is a file; give the name of a folder to write")
    done = emocap("train", data, cwd=tmp_path)
    assert "contains no usable pair; the first of 20 rejected rows: caption is empty" in done.stderr
    done = emocap("train", data, "--images", "none", cwd=tmp_path)
    assert "no such folder of images" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.csv"]
