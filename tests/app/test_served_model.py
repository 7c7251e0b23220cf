"""What is found to serve, what is said of its worth, the pairs to try, and what the page says is usual."""

import asyncio
import json
import shutil

import pytest
from PIL import Image

from emocap.app.limits import Limits
from emocap.app.page import _results
from emocap.app.served_model import load_served
from emocap.app.service import Service


@pytest.fixture
def plain(run, tmp_path):
    """A run without a captioner, with a teacher and AnB+."""
    ranker = run / "captioner" / "model" / "ranker"
    for name in ("teacher", "AnB+"):
        shutil.copytree(ranker, tmp_path / "plain" / name / "model")
    for name in ("results.json", "manifest.json"):
        shutil.copy(run / name, tmp_path / "plain" / name)
    return tmp_path / "plain"


def test_a_run_gives_its_fine_tuned_student_else_its_teacher(plain) -> None:
    found = load_served(plain)
    assert found.folder == plain / "AnB+" / "model"
    assert found.captioner is None
    assert found.measured is not None
    assert found.measured.pairs == 234
    shutil.rmtree(plain / "AnB+")
    assert load_served(plain).folder == plain / "teacher" / "model"


@pytest.mark.parametrize("damage", ["{", "[]", '{"n_test_pairs": 3}'])
def test_damaged_results_and_gallery_are_no_reason_not_to_serve(plain, damage) -> None:
    (plain / "results.json").write_text(damage)
    (plain / "gallery.json").write_text(damage)
    found = load_served(plain)
    assert found.measured is None
    assert [len(example.captions) for example in found.examples] == [3, 3, 3]


def test_examples_are_the_runs_best_and_worst_in_turn_each_with_captions_of_its_own(plain) -> None:
    (plain / "gallery").mkdir()
    entries = []
    for number, caption in enumerate(["The small dog was left alone after the funeral.", "Something else."]):
        Image.new("RGB", (20, 10), (number * 90, 0, 0)).save(plain / "gallery" / f"{number}.jpg")
        entries.append({"image": f"gallery/{number}.jpg", "caption": caption, "true": ["sad"]})
    gone = {"image": "gallery/gone.jpg", "caption": "a dog", "true": ["sad"]}
    (plain / "gallery.json").write_text(json.dumps({"best": [entries[0], gone], "worst": [entries[1]]}))
    first, second = load_served(plain).examples
    assert first.captions[0] == entries[0]["caption"]
    assert len(first.captions) == 3
    assert second.captions == ["Something else."]
    assert (first.emotion, second.emotion) == ("sad", "sad")
    assert first.image == (plain / "gallery" / "0.jpg").read_bytes()


def test_the_page_says_what_is_usual_and_when_nothing_lands(served) -> None:
    """The untrained model is near one half: awe is usually at 10%, happy at 60%."""
    service = Service(served, Limits())
    try:
        html, order = asyncio.run(_results(service, None, "a dog sits\nlost lost storm", ["awe"], []))
        assert "awe is usually 10%." in html
        assert "likelier than usual" not in html
        assert sorted(order) == ["a dog sits", "lost lost storm"]
        html, _ = asyncio.run(_results(service, None, "a dog sits", ["happy"], []))
        assert "None of these makes happy likelier than usual, which is 60%." in html
    finally:
        service.stop()
