"""The gallery: which test pairs are shown as best and worst."""

import numpy as np
import pytest

from emocap.corpora.pairs_builder import PairsBuilder
from emocap.emotions import Vocabulary
from emocap.files import read_json
from emocap.study.gallery import write_gallery

VOCABULARY = Vocabulary(("joy", "fear"))


@pytest.fixture
def gallery_of(tmp_path):
    """Writes the gallery of pairs with these targets and probabilities, and returns the ids of best and worst."""

    def write(targets, probabilities):
        builder = PairsBuilder("test")
        for number in range(len(targets)):
            builder.add(f"row {number}", str(number), None, f"caption {number}", [])
        p, t = np.array(probabilities, dtype=float), np.array(targets, dtype=float)
        write_gallery(tmp_path, "teacher", builder.build(), p, t, VOCABULARY)
        value = read_json(tmp_path / "gallery.json")
        return tuple([entry["pair_id"] for entry in value[kind]] for kind in ("best", "worst"))

    return write


def test_shows_best_and_worst_rankings(gallery_of) -> None:
    right, wrong = [0.9, 0.2], [0.2, 0.9]
    assert gallery_of([[1, 0]] * 4, [wrong, right, [0.3, 0.8], [0.8, 0.3]]) == (["1", "3"], ["0", "2"])


def test_pairs_without_an_emotion_are_not_shown(gallery_of) -> None:
    """A pair without an emotion has a label ranking average precision of 1, however it is ranked."""
    targets = [[0, 0], [1, 0], [0, 0], [0, 1], [0, 0], [0, 0]]
    assert gallery_of(targets, [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.9, 0.1], [0.2, 0.1], [0.1, 0.2]]) == (
        ["1"],
        ["3"],
    )
    assert gallery_of([[0, 0]] * 4, [[0.5, 0.5]] * 4) == ([], [])


def test_pair_without_an_error_is_not_among_the_worst(gallery_of) -> None:
    right, wrong = [0.9, 0.2], [0.2, 0.9]
    assert gallery_of([[1, 0]] * 4, [right] * 3 + [wrong])[1] == ["3"]
    assert gallery_of([[1, 0]] * 4, [right] * 4) == (["0", "1"], [])
