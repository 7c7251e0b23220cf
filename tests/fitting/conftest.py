"""A table of captions whose words name their emotion, and small stand-ins for the encoders."""

import numpy as np
import pytest

from emocap.corpora.pairs import Pairs
from emocap.evaluation.sentence_vectors import SentenceVectors

WORDS = {
    "happy": ("celebrates", "party", "sun", "bright"),
    "sad": ("alone", "waits", "rain", "dark"),
    "awe": ("sea", "storm", "night", "quiet"),
}


def table_rows(n_rows: int, seed: int = 0) -> list[dict[str, str]]:
    """Rows of a caption and the emotion that two of its words have."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(n_rows):
        emotion = list(WORDS)[number % 3]
        words = [*generator.choice(WORDS[emotion], 2, replace=False), *generator.choice(["dog", "cat", "boat"], 2)]
        rows.append({"caption": f"{' '.join(words)} n{number}", "emotions": emotion})
    return rows


def read_words(captions) -> np.ndarray:
    """A vector for each caption that counts the words of `WORDS`, of length 1."""
    words = [word for several in WORDS.values() for word in several]
    counts = np.array([[caption.split().count(word) for word in words] for caption in captions], dtype=np.float32)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1)


@pytest.fixture
def pairs():
    """60 captions with one of three emotions each."""
    from emocap.api.training import read_training_pairs
    from emocap.corpora.options import ReadOptions

    found, _ = read_training_pairs(table_rows(60), None, None, ReadOptions())
    assert isinstance(found, Pairs)
    return found


@pytest.fixture
def small_encoders(monkeypatch, tiny_bert):
    """Counts of words instead of sentence vectors, and the tiny BERT instead of MiniLM."""
    from emocap.classifiers import baseline_files
    from emocap.fitting import candidates

    def read(name: str) -> SentenceVectors:
        return SentenceVectors(name, read_words)

    monkeypatch.setattr(candidates, "sentence_vectors", read)
    monkeypatch.setattr(baseline_files, "sentence_vectors", read)
    monkeypatch.setattr(candidates, "BACKBONE", str(tiny_bert))
