"""The contrast of captions: by hand, and against a naive twin that looks at every pair of captions."""

from itertools import combinations

import numpy as np
import pytest

from emocap.pseudo_labels.contrast import contrast


def test_shared_emotions_by_hand() -> None:
    chosen = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 0]], dtype=bool)
    # "a" has three captions that share 1, 2 and 1; "" are two images of their own
    found = contrast(chosen, ["a", "a", "a", "", ""])
    assert (found["n_images"], found["n_occurring"]) == (1, 3)
    assert found["same_image"] == pytest.approx(4 / 3)
    assert found["other_images"] == pytest.approx((1 + 1 + 1 + 2 + 1 + 1 + 1) / 7)


def test_equals_a_look_at_every_pair() -> None:
    generator = np.random.default_rng(0)
    chosen = generator.random((60, 5)) < 0.4
    images = generator.choice(list("abcdefghijkl"), 60).tolist()
    same: dict[str, list[int]] = {}
    others = []
    for i, j in combinations(range(60), 2):
        shared = int((chosen[i] & chosen[j]).sum())
        if images[i] == images[j]:
            same.setdefault(images[i], []).append(shared)
        else:
            others.append(shared)
    found = contrast(chosen, images)
    assert found["same_image"] == pytest.approx(np.mean([np.mean(shared) for shared in same.values()]))
    assert found["other_images"] == pytest.approx(np.mean(others))


@pytest.mark.parametrize("images", [["", ""], ["a", "b"]])
def test_without_shared_images_there_is_none(images: list[str]) -> None:
    found = contrast(np.ones((2, 3), dtype=bool), images)
    assert found == {"n_images": 0, "same_image": None, "other_images": 3.0, "n_occurring": 3}


def test_one_caption_has_no_contrast() -> None:
    found = contrast(np.ones((1, 3), dtype=bool), ["a"])
    assert found == {"n_images": 0, "same_image": None, "other_images": None, "n_occurring": 3}
