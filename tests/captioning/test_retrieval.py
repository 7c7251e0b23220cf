"""Captions copied from training images."""

import numpy as np
import pytest

from emocap.captioning.metrics import cider_d
from emocap.captioning.retrieval import CaptionRetrieval


class Store(dict):
    """Regions by image, as a feature store returns them."""

    def __getitem__(self, image):
        return (super().__getitem__(image),)


CAPTIONS = {
    "a": ["a dog runs on the beach", "the brown dog runs"],
    "b": ["a dog runs on sand", "it is a lovely day"],
    "c": ["two men sit in a car", "men in a red car"],
}
STORE = Store(
    a=np.array([[1.0, 0.0], [0.8, 0.2]]), b=np.array([[0.9, 0.3]]), c=np.array([[0.0, 1.0], [0.1, 0.9]])
)  # fmt: skip


@pytest.fixture
def retrieval():
    images = [image for image, captions in CAPTIONS.items() for _ in captions]
    captions = [caption for own in CAPTIONS.values() for caption in own]
    return CaptionRetrieval.of(["x", *images], ["an image without features", *captions], STORE)


def test_nearest_image_gives_its_first_caption(retrieval):
    queries = [np.array([[0.0, 2.0]]), np.array([[5.0, 0.1]]), None]
    assert retrieval.nearest(queries) == [CAPTIONS["c"][0], CAPTIONS["a"][0], CAPTIONS["a"][0]]


def test_consensus_is_most_similar_to_the_others(retrieval):
    """Of the four captions of the two nearest images it is one that shares "a dog runs on" with another."""
    assert retrieval.consensus([np.array([[1.0, 0.1]])], k=2) == ["a dog runs on the beach"]
    assert retrieval.consensus([np.array([[0.0, 1.0]])], k=1) == ["two men sit in a car"]


def test_consensus_equals_a_naive_search(retrieval):
    texts = retrieval.captions[:4]
    documents = list(CAPTIONS.values())
    means = [
        sum(cider_d([one], [[other]], document_references=documents)[0] for other in texts if other != one)
        for one in texts
    ]
    assert retrieval.consensus([np.array([[1.0, 0.1]])], k=2) == [texts[int(np.argmax(means))]]


def test_similarity_is_cider_d_without_repeated_words(retrieval):
    """The captions repeat no n-gram, so that clipping changes nothing."""
    one, two = 0, 2
    expected = cider_d(
        [retrieval.captions[one]], [[retrieval.captions[two]]], document_references=list(CAPTIONS.values())
    )[0]
    dot = (retrieval._grams[one] @ retrieval._grams[two].T).toarray()[0, 0] / 4
    penalty = np.exp(-((6 - 5) ** 2) / 72)
    assert 10 * dot * penalty == pytest.approx(expected)


def test_no_image_with_features_is_false():
    assert not CaptionRetrieval.of(["a"], ["text"], None)
    assert not CaptionRetrieval.of([], [], STORE)


def test_random_captions_follow_the_seed(retrieval):
    assert retrieval.random(20, seed=1) == retrieval.random(20, seed=1) != retrieval.random(20, seed=2)
