"""`emocap inspect`: its table, its JSON alone on standard output, and its errors."""

import hashlib
import json
import re

import pytest

from .process import emocap


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "corpus" / "pairs.csv"
    path.parent.mkdir()
    rows = ["a.png,[red]the sea[/red],joy;awe,x", "b.png,\x1b[31mrain,Joy,y", "c.png,the sea,,z", "d.png,,joy,z"]
    path.write_text("\n".join(["image,caption,emotions,number", *rows]) + "\n")
    return path


def test_table_says_what_was_understood(data) -> None:
    done = emocap("inspect", data, COLUMNS="200")
    assert done.returncode == 0, done.stderr
    for text in (
        "(guessed; if it is another, give --format)",
        "4 rows, 3 pairs, 1 rejected",
        f"1, such as {data}: line 5: caption is empty",
        "image, caption, emotions",
        "3 named, not looked for; give --images",
        "1 to 2 words, median 2",
        "Latin 100.0%",
        "3: Joy 1, awe 1, joy 1",
        "0 to 2, mean 1.00 per pair; 1 pairs name none",
        "3 are named for fewer than 10 pairs",
        "differ in case only: 'Joy' and 'joy'",
        "a.png: [red]the sea[/red] [awe, joy]",
        "are read as different emotions",
    ):
        assert text in done.stdout
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    assert re.search(rf"SHA-256 +│ {digest}", done.stdout)
    assert "number" in next(line for line in done.stdout.splitlines() if "columns not used" in line)
    assert r"\x1b[31mrain" in done.stdout


def test_json_is_alone_on_standard_output(data) -> None:
    done = emocap("inspect", data, "--json", "--label-separator", ";")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    assert found["files"] == [{"path": str(data), "sha256": digest}]
    assert (found["rows"], found["pairs"], found["emotions"]["counts"]) == (4, 3, {"Joy": 1, "awe": 1, "joy": 1})
    assert [example["image"] for example in found["examples"]] == ["a.png", "b.png", "c.png"]


def test_images_and_columns_are_options(data, tmp_path, pixel) -> None:
    (tmp_path / "set").mkdir()
    for name in "ab":
        (tmp_path / "set" / f"{name}.png").write_bytes(pixel)
    arguments = ["--images", tmp_path / "set", "--columns", "caption=number,emotions=number", "--format", "table"]
    done = emocap("inspect", data, *arguments, COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert f"4 named, 2 found in {tmp_path / 'set'}, 2 missing, such as c.png" in done.stdout
    assert "1 have the bytes of another, such as b.png those of a.png" in done.stdout
    assert "(given)" in done.stdout
    assert "caption from number" in done.stdout
    assert "z 2" in done.stdout


def test_threshold_decides_which_scores_count(tmp_path) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"caption": "sea", "emotions": {"joy": 0.4, "awe": 0.2}}')
    for threshold, expected in ((0.3, {"joy": 1}), (0.1, {"awe": 1, "joy": 1})):
        done = emocap("inspect", tmp_path / "pairs.jsonl", "--json", "--label-threshold", threshold)
        assert json.loads(done.stdout)["emotions"]["counts"] == expected


def test_what_cannot_be_read_is_one_line(tmp_path) -> None:
    (tmp_path / "pairs.csv").write_text("file_name,text\na.png,the sea\n")
    done = emocap("inspect", tmp_path / "pairs.csv", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "--columns image=file_name,caption=text" in done.stderr
    done = emocap("inspect", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [f"emocap: {tmp_path}: is a folder; give one of its files: pairs.csv"]
    assert "is not ROLE=NAME" in emocap("inspect", tmp_path / "pairs.csv", "--columns", "text").stderr
