"""Nouns of captions by the optional tagger."""

import sys

import numpy as np
import pytest

from emocap.captioning.nouns import noun_faithfulness, noun_scores, noun_tagger


def test_missing_package_gives_no_tagger(monkeypatch):
    monkeypatch.setitem(sys.modules, "HanTa", None)
    monkeypatch.setitem(sys.modules, "HanTa.HanoverTagger", None)
    assert noun_tagger() is None


def test_plural_nouns_match_and_verbs_do_not_count():
    pytest.importorskip("HanTa")
    tagger = noun_tagger()
    assert tagger is not None
    captions = ["Two dogs are running on a beach.", "a woman rides a horse", "running fast"]
    references = [["A dog runs.", "An animal on the sand"], ["A woman on her horses"], ["a man"]]
    shares = noun_faithfulness(captions, references, tagger)
    assert shares[:2].tolist() == [0.5, 1.0]
    assert np.isnan(shares[2])


def test_captions_without_nouns_have_no_score():
    def tag(words):
        return [(word, word, "VB" if word == "run" else "NN") for word in words]

    assert noun_scores(["run", "run"], [["a dog"]] * 2, tag) == noun_scores(["dog"], [["dog"]], None) == {}
    assert noun_scores(["run", "dog"], [["dog"]] * 2, tag)["noun_faithfulness"][1] == 1
