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
