"""Sentence vectors: normalised means over attended tokens, each caption computed once."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertModel

from emocap.errors import EmocapError
from emocap.evaluation import sentence_vectors as module
from emocap.evaluation.sentence_vectors import SentenceVectors, mean_vectors, sentence_vectors
from emocap.models.packaged import backbone_is_installed


@pytest.fixture(autouse=True)
def _empty_cache():
    sentence_vectors.cache_clear()
    yield
    sentence_vectors.cache_clear()


@pytest.fixture
def tiny(tiny_bert):
    return BertModel.from_pretrained(str(tiny_bert)).eval(), AutoTokenizer.from_pretrained(str(tiny_bert))


def test_normalised_mean_over_attended_tokens(tiny) -> None:
    model, tokenizer = tiny
    captions = ["the dog runs", "a cat", "the child sits alone in the dark field by the quiet sea at night"]
    vectors = mean_vectors(model, tokenizer, captions)
    assert vectors.dtype == np.float32
    for caption, vector in zip(captions, vectors, strict=True):
        with torch.inference_mode():
            hidden = model(**tokenizer(caption, return_tensors="pt")).last_hidden_state[0].numpy()
        expected = hidden.mean(axis=0)
        assert vector == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)


def test_truncates_long_captions(tiny) -> None:
    long = "the dog runs " * 200
    vectors = mean_vectors(*tiny, [long, "the dog runs the dog runs"], max_length=8)
    assert vectors[0] == pytest.approx(vectors[1], abs=1e-5)


@pytest.mark.parametrize(("name", "width"), [("offline", 384), ("large", 768)])
def test_paraphrases_are_nearer_than_unrelated_captions(name, width) -> None:
    if not backbone_is_installed(name):
        pytest.skip(f"the packages of the backbone {name} are not installed")
    embed = sentence_vectors(name)
    first, paraphrase, unrelated = embed(
        ["A dog runs on the beach.", "A puppy is running by the sea.", "Stocks fell again."]
    )
    assert first.shape == (width,)
    assert first @ paraphrase > first @ unrelated + 0.3
    assert sentence_vectors(name) is embed


def test_cache_forgets_what_is_too_much(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_KNOWN", 3)
    embed = SentenceVectors("offline", lambda captions: np.array([[len(c)] for c in captions], dtype=np.float32))
    for captions in (["a", "bb"], ["bb", "ccc", "dddd"], ["a", "dddd"]):
        assert embed(captions)[:, 0].tolist() == [len(caption) for caption in captions]
        assert len(embed._known) <= 3


def test_few_captions_report_no_progress(tiny, caplog) -> None:
    with caplog.at_level("INFO", "emocap"):
        mean_vectors(*tiny, ["a dog"])
        assert caplog.messages == []
        mean_vectors(*tiny, ["a dog"] * 65)
    assert len(caplog.messages) == 1


def test_computes_every_caption_once(monkeypatch) -> None:
    read: list[str] = []

    def reader(captions):
        read.extend(captions)
        return np.array([[len(caption), 1.0] for caption in captions], dtype=np.float32)

    monkeypatch.setattr(module, "_packaged", lambda name: SentenceVectors(name, reader))
    embed = sentence_vectors("offline")
    assert embed(["aa", "b", "aa"]).tolist() == [[2, 1], [1, 1], [2, 1]]
    assert embed(["b", "ccc"]).tolist() == [[1, 1], [3, 1]]
    assert read == ["aa", "b", "ccc"]


def test_other_models_use_sentence_transformers(monkeypatch) -> None:
    class Model:
        def __init__(self, name: str, **_) -> None:
            if name == "some/broken":
                raise OSError("no such repository\nand much more")

        def encode(self, captions, *, normalize_embeddings: bool, show_progress_bar: bool):
            assert normalize_embeddings
            return np.ones((len(captions), 3))

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=Model))
    assert sentence_vectors("some/model")(["a", "b"]).shape == (2, 3)
    with pytest.raises(
        EmocapError, match="some/broken: cannot be loaded .OSError: no such repository.; check"
    ) as error:
        sentence_vectors("some/broken")
    assert "\n" not in str(error.value)


def test_error_names_the_missing_package(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EmocapError, match="pip install sentence-transformers"):
        sentence_vectors("some/model")
