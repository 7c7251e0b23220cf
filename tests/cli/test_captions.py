"""The command that ranks captions; test_captioner.py in tests/study tests the one that generates them."""

from .process import emocap


def test_rank_orders_captions_by_a_classifier(model_folder, tmp_path) -> None:
    (tmp_path / "captions.txt").write_text("a dog waits alone\n\n  the child celebrates\nlost storm\n")
    done = emocap("rank", "--model", model_folder, tmp_path / "captions.txt", "--emotion", "sad", "--max-chars", 17)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert lines[2].endswith("%    the child celebrates  [5 characters too long]"), "unchanged, with a remark, last"
    percentages = [float(line.split()[1].rstrip("%")) for line in lines[:2]]
    assert percentages == sorted(percentages, reverse=True)
