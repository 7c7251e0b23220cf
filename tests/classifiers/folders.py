"""Model folders for the tests: baselines fitted to a few captions, and a tiny network."""

import numpy as np

from emocap.classifiers.baseline_files import save_baseline
from emocap.emotions import Vocabulary
from emocap.evaluation.baselines import fit_baseline
from emocap.evaluation.sentence_vectors import SentenceVectors
from emocap.training.checkpoint import ModelCard, load_tokenizer, save_model

VOCABULARY = Vocabulary(("happy", "sad", "awe"))
WORDS = ("party", "storm", "cliff", "table", "chair", "street")
FEATURES = {"fingerprint": "0123456789abcdef", "extractor": "grid", "settings": {}, "dim": 8}


def pairs(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Captions of three words, the first three words of `WORDS` evoke an emotion each."""
    drawn = np.stack([np.random.default_rng([seed, row]).choice(6, 3, replace=False) for row in range(n)])
    return [" ".join(WORDS[word] for word in row) for row in drawn], (drawn[..., None] == np.arange(3)).any(axis=1)


def read_words(captions) -> np.ndarray:
    """Stands for a sentence-vector model: which of `WORDS` a caption has, with a constant."""
    found = np.array([[*(word in caption for word in WORDS), 1] for caption in captions], dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def images(captions, missing: int = 0) -> list[np.ndarray | None]:
    """An image of two regions of eight dimensions for each caption, which shows its words; the first ones have none."""
    features = np.pad(read_words(captions), ((0, 0), (0, 1))).astype(np.float16)
    return [None if row < missing else np.stack([each, each + 1]) for row, each in enumerate(features)]


def ratings(captions) -> np.ndarray:
    """Two ratings of each caption by its words, of which the second is missing for every third."""
    found = read_words(captions)[:, :2].astype(np.float64)
    found[::3, 1] = np.nan
    return found


def card(kind: str, **changes) -> ModelCard:
    fields = {"labels": list(VOCABULARY.labels), "vocabulary": VOCABULARY.hash, "max_length": 0, "features": None}
    return ModelCard(**({**fields, "run": kind, "kind": kind, "frequencies": [0.5, 0.5, 0.5]} | changes))


def write_baseline(folder, kind: str, *, vectors: bool = False, rated: bool = False, **changes):
    """A fitted baseline in `folder`, which is returned."""
    embed = SentenceVectors("offline", read_words) if vectors or "vectors" in kind else None
    (captions, truth), (held_out, held_out_truth) = pairs(80, 0), pairs(40, 1)
    given = {"features": images(captions, missing=3), "validation_features": images(held_out)}
    if rated:
        given |= {"ratings": ratings(captions), "validation_ratings": ratings(held_out)}
    fitted = fit_baseline(kind, captions, truth, held_out, held_out_truth, embed=embed, **given)
    features = FEATURES if fitted.images is not None else None
    save_baseline(folder, fitted, card(kind, features=features, **changes))
    return fitted


def write_network(folder, tiny_model, tiny_bert, **changes):
    """The tiny network, which reads regions of eight dimensions."""
    fields = {"max_length": 16, "features": FEATURES} | changes
    save_model(folder, tiny_model, load_tokenizer(tiny_bert), card("visual_bert", **fields))
    return tiny_model
