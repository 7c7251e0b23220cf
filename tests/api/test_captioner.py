"""EmotionCaptioner: generated captions within the request, and given captions ranked but never changed."""

import logging
import shutil

import numpy as np
import pytest
from PIL import Image

from emocap import EmocapError, EmotionCaptioner
from emocap.api.images import load_image
from emocap.api.ranking import RankingRequest, check_candidates, rank_captions
from emocap.api.requested_emotions import resolve_emotions
from emocap.captioning.checkpoint import CARD, GENERATION, OLD_GENERATION, GenerationConfig, load_captioner
from emocap.captioning.rerank import UNFAITHFUL
from emocap.files import read_json, write_json
from emocap.pseudo_labels.lift import LiftScale

CAPTIONS = ["the child celebrates at home", "lost lost storm", "a dog sits"]


@pytest.fixture
def captioner(captioner_run) -> EmotionCaptioner:
    return EmotionCaptioner.from_pretrained(captioner_run())


def test_captions_are_distinct_sorted_and_reproducible(captioner, photo) -> None:
    ranked = captioner.caption(photo, ["sad"], n=4)
    captions = [candidate.caption for candidate in ranked]
    assert len(set(captions)) == len(captions) == 4
    scores = [candidate.score for candidate in ranked if not candidate.remarks]
    assert scores == sorted(scores, reverse=True)
    assert [candidate.caption for candidate in captioner.caption(photo, ["sad"], n=4)] == captions
    assert [candidate.caption for candidate in captioner.caption(photo, ["sad"], n=4, seed=7)] != captions


def test_scores_come_from_ranker_and_captioner(captioner, photo) -> None:
    (best, *_) = captioner.caption(photo, ["sad"], n=1)
    predictions = captioner.ranker.predict(photo, best.caption)
    (expected,) = [prediction.probability for prediction in predictions if prediction.emotion == "sad"]
    assert best.probability == pytest.approx(expected, abs=1e-5)
    features = captioner.ranker.features([photo])[0]
    expected = captioner._generator.mean_log_likelihood([features], [best.caption])[0]
    assert best.faithfulness == pytest.approx(expected, abs=1e-4)


def test_log_likelihood_is_the_mean_over_tokens(captioner, photo) -> None:
    """One at a time, in a batch, and by hand from the logits of the whole caption."""
    import torch

    generator, features = captioner._generator, captioner.ranker.features([photo])[0]
    together = generator.mean_log_likelihood([features] * 3, CAPTIONS)
    alone = np.concatenate([generator.mean_log_likelihood([features], [caption]) for caption in CAPTIONS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    ids = torch.tensor([generator.tokens.tokenizer(CAPTIONS[0])["input_ids"]])
    states, mask = generator._encode([features], [[]], [None])
    with torch.inference_mode():
        logits = generator.model(encoder_outputs=(states,), attention_mask=mask, decoder_input_ids=ids[:, :-1]).logits
    by_hand = torch.log_softmax(logits, -1)[0].gather(1, ids[0, 1:, None]).mean().item()
    assert together[0] == pytest.approx(by_hand, abs=1e-5)


def test_captions_respect_the_maximum_length(captioner, photo) -> None:
    unlimited = captioner.caption(photo, ["happy"], n=6)
    limit = sorted(len(candidate.caption) for candidate in unlimited)[2]
    limited = captioner.caption(photo, ["happy"], n=6, max_chars=limit)
    assert limited
    assert max(len(candidate.caption) for candidate in limited) <= limit
    with pytest.raises(EmocapError, match=r"none of \d+ candidates is left .*characters too long"):
        captioner.caption(photo, ["happy"], max_chars=1)


def test_captions_that_evoke_avoided_emotions_get_remark(captioner, photo) -> None:
    ranked = captioner.rank(photo, CAPTIONS, ["sad"], avoid=["happy"])
    for candidate in ranked:
        best = captioner.ranker.predict(photo, candidate.caption)[0].emotion
        assert ("evokes happy" in candidate.remarks) == (best == "happy")


def test_ranking_keeps_all_captions_unchanged(captioner, photo) -> None:
    captions = [*CAPTIONS, "  Two  spaces\tand a tab ", "привет мир", "a\x07bell", "dog " * 3000]
    ranked = captioner.rank(photo, captions, ["awe"], max_chars=100)
    assert sorted(candidate.number for candidate in ranked) == list(range(len(captions)))
    assert all(candidate.caption == captions[candidate.number] for candidate in ranked)
    remarks = {candidate.number: candidate.remarks for candidate in ranked}
    assert "the caption consists mostly of words that the model does not know" in remarks[4]
    assert "the caption contains control characters" in remarks[5]
    assert "11900 characters too long" in remarks[6]
    assert any("only its beginning is scored" in remark for remark in remarks[6])


def test_classifier_alone_ranks_captions(captioner, photo) -> None:
    ranked = rank_captions(captioner.ranker, photo, CAPTIONS, ["sad"])
    assert all(candidate.faithfulness is None for candidate in ranked)
    probabilities = [candidate.probability for candidate in ranked]
    assert probabilities == sorted(probabilities, reverse=True)


def test_similarity_replaces_likelihood(captioner, photo) -> None:
    similarities = {CAPTIONS[0]: 30.0, CAPTIONS[1]: 5.0, CAPTIONS[2]: 29.0}
    ranked = captioner.rank(
        photo, CAPTIONS, ["sad"], similarity=lambda image, captions: np.array([similarities[c] for c in captions])
    )
    assert {candidate.caption: candidate.faithfulness for candidate in ranked} == similarities
    assert ranked[-1].caption == CAPTIONS[1]
    assert ranked[-1].remarks == [UNFAITHFUL]


@pytest.mark.parametrize(
    ("emotions", "avoid", "message"),
    [
        (["hapy"], [], "'hapy': not an emotion of this model; the most similar name is happy"),
        (["xyz"], [], "known are happy, sad, awe"),
        (["sad"], ["SAD"], "sad is both a target emotion and an emotion to avoid"),
        (["sad"], ["joyful"], "avoid 'joyful'"),
    ],
)
def test_rejects_impossible_emotions(emotions, avoid, message, vocabulary) -> None:
    with pytest.raises(EmocapError, match=message):
        resolve_emotions(vocabulary.labels, emotions, avoid)


def test_warns_of_opposite_emotions(vocabulary, caplog) -> None:
    with caplog.at_level(logging.WARNING, "emocap"):
        assert resolve_emotions(vocabulary.labels, ["happy", "sad"]) == ([0, 1], [])
    assert "happy and sad have opposite valence" in caplog.text


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ([], "no candidates"),
        (["a", " "], "candidate 2 is empty"),
        (["\udcff"], "not Unicode"),
        (["a"] * 1001, "at most"),
    ],
)
def test_rejects_unusable_candidates(captions, message) -> None:
    with pytest.raises(EmocapError, match=message):
        check_candidates(captions, RankingRequest(["happy", "sad"], [0], []))


def test_rejects_impossible_requests(captioner, captioner_run, photo) -> None:
    for options, message in (
        ({"image": None}, "needs an image"),
        ({"image": photo, "n": 0}, "n is 0"),
        ({"image": photo, "guidance": -1.0}, "guidance is -1.0"),
        ({"image": photo, "strength": float("nan")}, "strength is nan"),
        ({"image": photo, "seed": -1}, "seed is -1"),
        ({"image": photo, "style": "romantic"}, "style is 'romantic', but the captioner knows no styles"),
    ):
        with pytest.raises(EmocapError, match=message):
            captioner.caption(**{"emotions": ["sad"], **options})
    without_images = EmotionCaptioner.from_pretrained(captioner_run("without_images", features=None))
    with pytest.raises(EmocapError, match="was trained without images"):
        without_images.caption(photo, ["sad"])


def test_warns_of_uniform_image(captioner, photo, caplog) -> None:
    with caplog.at_level(logging.WARNING, "emocap"):
        assert captioner.caption(photo, ["sad"], n=1)
        assert "single colour" not in caplog.text
        assert captioner.caption(Image.new("RGB", (40, 30), (10, 200, 30)), ["sad"], n=1)
    assert "the image has a single colour" in caplog.text


def test_rejects_missing_or_changed_folder(captioner_run, tmp_path) -> None:
    with pytest.raises(EmocapError, match="contains no captioner"):
        EmotionCaptioner.from_pretrained(tmp_path)
    run = captioner_run("changed")
    path = run / "captioner" / "model" / CARD
    for change, message in (
        ({"labels": ["happy", "awe", "sad"]}, "do not have the hash"),
        ({"schema": 9}, "not of schema 1"),
        ({"candidates": "many"}, "candidates"),
        ({"candidates": 0}, "candidates 0, expected"),
        ({"max_length": 2}, "max_length is 2 and"),
        ({"max_length": 100_000}, "max_length is 100000, but the model reads 32"),
        ({"features": read_json(path)["features"] | {"fingerprint": "0" * 16}}, "fingerprint 0000"),
        ({"more": 1}, "more"),
    ):
        before = read_json(path)
        write_json(path, before | change)
        with pytest.raises(EmocapError, match=message):
            EmotionCaptioner.from_pretrained(run)
        write_json(path, before)
    write_json(path, read_json(path) | {"files": {}})
    (path.parent / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(EmocapError, match="weights cannot be read"):
        EmotionCaptioner.from_pretrained(run)


class RecordingGenerator:
    """A generator that records its requests and returns given captions."""

    def __init__(self, captions) -> None:
        self.captions, self.requests = captions, []

    def generate(self, features, emotions, styles, *, n, guidance, seed, beams, **further):
        self.requests.append({"emotions": emotions, "n": n, "guidance": guidance, "seed": seed})
        self.decoding = {"styles": styles, "beams": beams, **further}
        return [[self.captions[i % len(self.captions)] for i in range(n)]]

    def mean_log_likelihood(self, features, captions):
        return np.array([-0.1 * self.captions.index(caption) for caption in captions])


@pytest.fixture
def recorded(captioner_run, monkeypatch):
    """A captioner of four captions; the ranker predicts happy for even ones and sad for odd ones."""
    run = captioner_run("chosen")
    write_json(run / "captioner" / "model" / "generation.json", {"guidance": 2.5, "strength": 0.5})
    captioner = EmotionCaptioner.from_pretrained(run)
    captions = ["zero", "one", "two", "three"]
    generator = RecordingGenerator(captions)
    probabilities = {c: [0.9, 0.2, 0.1] if i % 2 == 0 else [0.2, 0.6 + i / 10, 0.1] for i, c in enumerate(captions)}
    monkeypatch.setattr(captioner, "_generator", generator)
    monkeypatch.setattr(captioner.ranker, "probabilities_for", lambda f, cs: np.array([probabilities[c] for c in cs]))
    return captioner, generator


def test_uses_study_settings_unless_given(recorded, photo) -> None:
    captioner, generator = recorded
    ranked = captioner.caption(photo, ["sad"], n=1)
    assert generator.requests == [{"emotions": [[1]], "n": 6, "guidance": 2.5, "seed": 0}], (
        "the card says six candidates"
    )
    assert ranked[0].caption == "one"
    assert ranked[0].score == pytest.approx(0.5 * np.log(0.7) - 0.1)
    captioner.caption(photo, ["sad"], guidance=0.5, seed=4)
    assert (generator.requests[-1]["guidance"], generator.requests[-1]["seed"]) == (0.5, 4)
    (best, *_) = captioner.caption(photo, ["sad"], strength=0.0)
    assert best.caption == "zero", "faithfulness only"
    (best, *_) = captioner.caption(photo, ["sad"], strength=3.0)
    assert best.caption == "three", "mainly the emotion"


def test_many_candidates_come_in_batches_without_duplicates(recorded, photo) -> None:
    captioner, generator = recorded
    ranked = captioner.caption(photo, ["sad"], n=20)
    assert [(request["n"], request["seed"]) for request in generator.requests] == [(32, 0), (28, 1)]
    assert sorted(candidate.caption for candidate in ranked) == ["one", "three", "two", "zero"]


def test_beams_and_lift_of_the_study_are_used(captioner_run, photo, monkeypatch, vocabulary) -> None:
    run = captioner_run("beams")
    model = run / "captioner" / "model"
    write_json(model / "generation.json", {"beams": 3, "length_penalty": 0.7, "rerank": "lift", "strength": 0.5})
    scale = LiftScale(np.array([0.0, -1.0, 0.0]), np.array([1.0, 2.0, 1.0]))
    scale.save(model / "lift.json", vocabulary)
    captioner = EmotionCaptioner.from_pretrained(run)
    generator = RecordingGenerator(["zero", "one"])
    monkeypatch.setattr(captioner, "_generator", generator)
    monkeypatch.setattr(captioner.ranker, "probabilities_for", lambda f, cs: np.array([[0.5, 0.5, 0.5]] * len(cs)))
    best = captioner.caption(photo, ["sad"], n=1)[0]
    assert (generator.decoding["beams"], generator.decoding["length_penalty"]) == (3, 0.7)
    assert best.score == pytest.approx(0.5 * (0 - -1) / 2), "strength times the lift of a logit of 0"
    captioner.caption(photo, ["sad"], n=20)
    assert generator.decoding["beams"] is None, "candidates beyond the first batch are sampled"


def test_without_emotion_beams_keep_their_order(captioner_run, photo, monkeypatch) -> None:
    """The likelihood, which knows no style, would put the caption last that is most in the style."""
    run = captioner_run("styled")
    write_json(run / "captioner" / "model" / "generation.json", {"beams": 3})
    captioner = EmotionCaptioner.from_pretrained(run)
    generator = RecordingGenerator(["romantic", "plain", "far"])
    faithfulness = {"romantic": -3.0, "plain": -0.5, "far": -2.0}
    monkeypatch.setattr(captioner, "_generator", generator)
    monkeypatch.setattr(generator, "mean_log_likelihood", lambda f, cs: np.array([faithfulness[c] for c in cs]))
    monkeypatch.setattr(captioner.ranker, "probabilities_for", lambda f, cs: np.array([[0.5, 0.4, 0.1]] * len(cs)))
    assert [one.caption for one in captioner.caption(photo)] == ["romantic", "plain", "far"]
    assert [one.caption for one in captioner.caption(photo, max_chars=5)] == ["plain", "far"]
    write_json(run / "captioner" / "model" / "generation.json", {})
    monkeypatch.setattr(captioner, "_saved", load_captioner(run))
    assert captioner.caption(photo)[0].caption == "plain", "samples are in no order"


def test_never_returns_captions_that_evoke_avoided_emotions(recorded, photo) -> None:
    captioner, _ = recorded
    generated = captioner.caption(photo, ["sad"], avoid=["happy"])
    assert [candidate.caption for candidate in generated] == ["one", "three"]
    ranked = captioner.rank(photo, ["zero", "one"], ["sad"], avoid=["happy"])
    remarks = [(candidate.caption, "evokes happy" in candidate.remarks) for candidate in ranked]
    assert remarks == [("one", False), ("zero", True)]
    (last, *_) = reversed(rank_captions(captioner.ranker, photo, ["zero", "one"], ["happy"], avoid=["sad"]))
    assert (last.caption, "evokes sad" in last.remarks) == ("one", True)


def test_rejects_captioner_that_is_not_judged_yet(captioner_run) -> None:
    run = captioner_run("early")
    shutil.rmtree(run / "captioner" / "model" / "ranker")
    with pytest.raises(EmocapError, match="not judged yet"):
        EmotionCaptioner.from_pretrained(run)


def test_without_emotion_ranks_by_faithfulness(captioner, photo) -> None:
    ranked = captioner.caption(photo, n=3)
    assert len(ranked) == 3
    faithfulness = [candidate.faithfulness for candidate in ranked]
    assert faithfulness == sorted(faithfulness, reverse=True)


def test_ranking_needs_captions_and_an_emotion(captioner, photo) -> None:
    for captions, emotions, message in (
        ("dog", ["sad"], "a single text; give a list"),
        (CAPTIONS, [], "no emotion to rank by"),
        (CAPTIONS, "sad", r"write \['sad'\]"),
        (CAPTIONS, [1], "is not a list of emotions"),
    ):
        with pytest.raises(EmocapError, match=message):
            captioner.rank(photo, captions, emotions)
        with pytest.raises(EmocapError, match=message):
            rank_captions(captioner.ranker, photo, captions, emotions)


def test_pillow_image_equals_its_file(photo, tmp_path) -> None:
    image = Image.open(photo)
    rotated = image.getexif()
    rotated[0x0112] = 6
    image.save(tmp_path / "rotated.png", exif=rotated)
    assert load_image(Image.open(tmp_path / "rotated.png")) == load_image(tmp_path / "rotated.png")
    assert load_image(tmp_path / "rotated.png").size == image.size[::-1]


def test_reads_generation_settings_of_earlier_versions(captioner_run) -> None:
    """A folder with only `choice.json`; `generation.json` takes precedence."""
    folder = captioner_run("earlier") / "captioner" / "model"
    assert load_captioner(folder).generation_config == GenerationConfig()
    write_json(folder / OLD_GENERATION, {"guidance": 2.0, "strength": 0.5})
    assert load_captioner(folder).generation_config == GenerationConfig(2.0, 0.5)
    write_json(folder / GENERATION, {"guidance": 3.0, "strength": 1.5})
    assert load_captioner(folder).generation_config == GenerationConfig(3.0, 1.5)


def test_refuses_captioner_whose_files_changed(captioner_run) -> None:
    folder = captioner_run() / "captioner" / "model"
    load_captioner(folder)
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(EmocapError, match=r"model\.safetensors: missing or changed since the captioner was saved"):
        load_captioner(folder)
    card = read_json(folder / CARD)
    del card["files"]
    write_json(folder / CARD, card)
    load_captioner(folder)
