"""EmotionCaptioner: captions in order, within what was asked, and anybody's captions ranked and left as they are."""

import logging
import shutil

import numpy as np
import pytest
from PIL import Image

from emocap import EmocapError, EmotionCaptioner
from emocap.api.captioner import check_candidates, load_image, rank_captions, resolve_emotions
from emocap.captioning.checkpoint import CARD
from emocap.captioning.rerank import UNFAITHFUL
from emocap.files import read_json, write_json

CAPTIONS = ["the child celebrates at home", "lost lost storm", "a dog sits"]


@pytest.fixture
def captioner(captioner_run) -> EmotionCaptioner:
    return EmotionCaptioner.from_pretrained(captioner_run())


def test_captions_are_different_in_order_and_the_same_for_a_seed(captioner, photo) -> None:
    found = captioner.caption(photo, ["sad"], n=4)
    captions = [one.caption for one in found]
    assert len(set(captions)) == len(captions) == 4
    fitting = [one.score for one in found if not one.remarks]
    assert fitting == sorted(fitting, reverse=True)
    assert [one.caption for one in captioner.caption(photo, ["sad"], n=4)] == captions
    assert [one.caption for one in captioner.caption(photo, ["sad"], n=4, seed=7)] != captions


def test_probabilities_are_the_rankers_and_faithfulness_the_captioners(captioner, photo) -> None:
    (one, *_) = captioner.caption(photo, ["sad"], n=1)
    (expected,) = [f.probability for f in captioner.ranker.predict(photo, one.caption) if f.emotion == "sad"]
    assert one.probability == pytest.approx(expected, abs=1e-5)
    features = captioner.ranker.features([photo])[0]
    assert one.faithfulness == pytest.approx(captioner._writer.likelihood([features], [one.caption])[0], abs=1e-4)


def test_likelihood_is_the_mean_log_probability_of_each_token(captioner, photo) -> None:
    """One by one and in a batch, and by hand from the logits of the whole caption."""
    import torch

    writer, features = captioner._writer, captioner.ranker.features([photo])[0]
    together = writer.likelihood([features] * 3, CAPTIONS)
    alone = np.concatenate([writer.likelihood([features], [caption]) for caption in CAPTIONS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    ids = torch.tensor([writer.tokenizer(CAPTIONS[0])["input_ids"]])
    states, mask = writer._encoded([features], [[]])
    with torch.inference_mode():
        logits = writer.model(encoder_outputs=(states,), attention_mask=mask, decoder_input_ids=ids[:, :-1]).logits
    by_hand = torch.log_softmax(logits, -1)[0].gather(1, ids[0, 1:, None]).mean().item()
    assert together[0] == pytest.approx(by_hand, abs=1e-5)


def test_no_caption_is_longer_than_asked_or_evokes_what_is_to_be_avoided(captioner, photo) -> None:
    every = captioner.caption(photo, ["happy"], n=6)
    limit = sorted(len(one.caption) for one in every)[2]
    found = captioner.caption(photo, ["happy"], n=6, max_chars=limit)
    assert found
    assert max(len(one.caption) for one in found) <= limit
    with pytest.raises(EmocapError, match=r"none of \d+ candidates is left .*characters too long"):
        captioner.caption(photo, ["happy"], max_chars=1)


def test_what_is_avoided_stands_behind_and_says_so(captioner, photo) -> None:
    ranked = captioner.rank(photo, CAPTIONS, ["sad"], avoid=["happy"])
    for one in ranked:
        best = captioner.ranker.predict(photo, one.caption)[0].emotion
        assert ("evokes happy" in one.remarks) == (best == "happy")


def test_a_persons_captions_are_all_there_unchanged(captioner, photo) -> None:
    odd = [*CAPTIONS, "  Two  spaces\tand a tab ", "привет мир", "a\x07bell", "dog " * 3000]
    ranked = captioner.rank(photo, odd, ["awe"], max_chars=100)
    assert sorted(one.number for one in ranked) == list(range(len(odd)))
    assert all(one.caption == odd[one.number] for one in ranked)
    remarks = {one.number: one.remarks for one in ranked}
    assert "in words that the model hardly knows" in remarks[4]
    assert "holds control characters" in remarks[5]
    assert "11900 characters too long" in remarks[6]
    assert any("judged by its beginning" in remark for remark in remarks[6])


def test_a_classifier_alone_orders_too(captioner, photo) -> None:
    ranked = rank_captions(captioner.ranker, photo, CAPTIONS, ["sad"])
    assert all(one.faithfulness is None for one in ranked)
    probabilities = [one.probability for one in ranked]
    assert probabilities == sorted(probabilities, reverse=True)


def test_a_similarity_takes_the_place_of_likelihood_and_holds_its_floor(captioner, photo) -> None:
    fits = {CAPTIONS[0]: 30.0, CAPTIONS[1]: 5.0, CAPTIONS[2]: 29.0}
    ranked = captioner.rank(
        photo, CAPTIONS, ["sad"], similarity=lambda image, captions: np.array([fits[c] for c in captions])
    )
    assert {one.caption: one.faithfulness for one in ranked} == fits
    assert ranked[-1].caption == CAPTIONS[1]
    assert ranked[-1].remarks == [UNFAITHFUL]


@pytest.mark.parametrize(
    ("wanted", "avoid", "message"),
    [
        (["hapy"], [], "'hapy': not an emotion of this model; nearest by name are happy"),
        (["xyz"], [], "known are happy, sad, awe"),
        (["sad"], ["SAD"], "sad is both wanted and to be avoided"),
        (["sad"], ["joyful"], "avoid 'joyful'"),
    ],
)
def test_emotions_that_cannot_be_asked_for(wanted, avoid, message, vocabulary) -> None:
    with pytest.raises(EmocapError, match=message):
        resolve_emotions(vocabulary.labels, wanted, avoid)


def test_opposite_emotions_are_asked_for_with_a_warning(vocabulary, caplog) -> None:
    with caplog.at_level(logging.WARNING, "emocap"):
        assert resolve_emotions(vocabulary.labels, ["happy", "sad"]) == ([0, 1], [])
    assert "happy and sad pull in opposite directions" in caplog.text


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ([], "no candidates"),
        (["a", " "], "candidate 2 is empty"),
        (["\udcff"], "not Unicode"),
        (["a"] * 1001, "at most"),
    ],
)
def test_candidates_that_cannot_be_ordered(captions, message) -> None:
    with pytest.raises(EmocapError, match=message):
        check_candidates(captions, [0])


def test_what_cannot_be_written_is_refused(captioner, captioner_run, photo) -> None:
    for how, message in (
        ({"image": None}, "needs a picture"),
        ({"image": photo, "n": 0}, "n is 0"),
        ({"image": photo, "guidance": -1.0}, "guidance is -1.0"),
        ({"image": photo, "strength": float("nan")}, "strength is nan"),
        ({"image": photo, "seed": -1}, "seed is -1"),
    ):
        with pytest.raises(EmocapError, match=message):
            captioner.caption(**{"emotions": ["sad"], **how})
    blind = EmotionCaptioner.from_pretrained(captioner_run("blind", features=None))
    with pytest.raises(EmocapError, match="never saw a picture"):
        blind.caption(photo, ["sad"])


def test_a_picture_of_nothing_is_told_of(captioner, photo, caplog) -> None:
    with caplog.at_level(logging.WARNING, "emocap"):
        assert captioner.caption(photo, ["sad"], n=1)
        assert "one colour" not in caplog.text
        assert captioner.caption(Image.new("RGB", (40, 30), (10, 200, 30)), ["sad"], n=1)
    assert "the picture is of one colour" in caplog.text


def test_a_folder_that_is_no_captioner_or_was_changed_is_refused(captioner_run, tmp_path) -> None:
    with pytest.raises(EmocapError, match="holds no captioner"):
        EmotionCaptioner.from_pretrained(tmp_path)
    run = captioner_run("changed")
    path = run / "captioner" / "model" / CARD
    for change, message in (
        ({"labels": ["happy", "awe", "sad"]}, "do not have the hash"),
        ({"schema": 9}, "not of schema 1"),
        ({"candidates": "many"}, "candidates"),
        ({"candidates": 0}, "candidates 0, expected"),
        ({"max_length": 2}, "max_length is 2 and"),
        ({"max_length": 100_000}, "max_length is 100000, the model reads 32"),
        ({"features": read_json(path)["features"] | {"fingerprint": "0" * 16}}, "fingerprint 0000"),
        ({"more": 1}, "more"),
    ):
        before = read_json(path)
        write_json(path, before | change)
        with pytest.raises(EmocapError, match=message):
            EmotionCaptioner.from_pretrained(run)
        write_json(path, before)
    (path.parent / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(EmocapError, match="weights cannot be read"):
        EmotionCaptioner.from_pretrained(run)


class Recorded:
    """A writer that writes down what it is asked for, and gives the captions it was given."""

    def __init__(self, captions) -> None:
        self.captions, self.asked = captions, []

    def write(self, features, emotions, *, n, guidance, seed):
        self.asked.append({"emotions": emotions, "n": n, "guidance": guidance, "seed": seed})
        return [[self.captions[i % len(self.captions)] for i in range(n)]]

    def likelihood(self, features, captions):
        return np.array([-0.1 * self.captions.index(caption) for caption in captions])


@pytest.fixture
def recorded(captioner_run, monkeypatch):
    """A captioner of four captions; the ranker names happy for the even ones and sad for the odd ones."""
    run = captioner_run("chosen")
    write_json(run / "captioner" / "model" / "choice.json", {"guidance": 2.5, "strength": 0.5})
    made = EmotionCaptioner.from_pretrained(run)
    captions = ["zero", "one", "two", "three"]
    writer = Recorded(captions)
    chances = {c: [0.9, 0.2, 0.1] if i % 2 == 0 else [0.2, 0.6 + i / 10, 0.1] for i, c in enumerate(captions)}
    monkeypatch.setattr(made, "_writer", writer)
    monkeypatch.setattr(made.ranker, "probabilities_for", lambda f, cs: np.array([chances[c] for c in cs]))
    return made, writer


def test_what_the_study_chose_is_the_default_and_what_is_given_goes_over_it(recorded, photo) -> None:
    captioner, writer = recorded
    found = captioner.caption(photo, ["sad"], n=1)
    assert writer.asked == [{"emotions": [[1]], "n": 6, "guidance": 2.5, "seed": 0}], "six candidates, by the card"
    assert found[0].caption == "one"
    assert found[0].score == pytest.approx(0.5 * np.log(0.7) - 0.1)
    captioner.caption(photo, ["sad"], guidance=0.5, seed=4)
    assert (writer.asked[-1]["guidance"], writer.asked[-1]["seed"]) == (0.5, 4)
    (best, *_) = captioner.caption(photo, ["sad"], strength=0.0)
    assert best.caption == "zero", "faithfulness alone"
    (best, *_) = captioner.caption(photo, ["sad"], strength=3.0)
    assert best.caption == "three", "the emotion above all"


def test_many_candidates_come_in_batches_of_other_draws_each_once(recorded, photo) -> None:
    captioner, writer = recorded
    found = captioner.caption(photo, ["sad"], n=20)
    assert [(one["n"], one["seed"]) for one in writer.asked] == [(32, 0), (28, 1)]
    assert sorted(one.caption for one in found) == ["one", "three", "two", "zero"]


def test_nothing_that_evokes_what_is_to_be_avoided_is_given(recorded, photo) -> None:
    captioner, _ = recorded
    found = captioner.caption(photo, ["sad"], avoid=["happy"])
    assert [one.caption for one in found] == ["one", "three"]
    ranked = captioner.rank(photo, ["zero", "one"], ["sad"], avoid=["happy"])
    assert [(one.caption, "evokes happy" in one.remarks) for one in ranked] == [("one", False), ("zero", True)]
    (least, *_) = reversed(rank_captions(captioner.ranker, photo, ["zero", "one"], ["happy"], avoid=["sad"]))
    assert (least.caption, "evokes sad" in least.remarks) == ("one", True)


def test_a_captioner_whose_captions_were_not_judged_yet_says_so(captioner_run) -> None:
    run = captioner_run("early")
    shutil.rmtree(run / "captioner" / "model" / "ranker")
    with pytest.raises(EmocapError, match="not judged yet"):
        EmotionCaptioner.from_pretrained(run)


def test_without_an_emotion_it_writes_what_is_likeliest(captioner, photo) -> None:
    found = captioner.caption(photo, n=3)
    assert len(found) == 3
    faithful = [one.faithfulness for one in found]
    assert faithful == sorted(faithful, reverse=True)


def test_ranking_needs_a_list_of_captions_and_an_emotion(captioner, photo) -> None:
    for captions, emotions, message in (
        ("dog", ["sad"], "one text; give a list"),
        (CAPTIONS, [], "no emotion to order by"),
        (CAPTIONS, "sad", r"write \['sad'\]"),
        (CAPTIONS, [1], "is no list of emotions"),
    ):
        with pytest.raises(EmocapError, match=message):
            captioner.rank(photo, captions, emotions)
        with pytest.raises(EmocapError, match=message):
            rank_captions(captioner.ranker, photo, captions, emotions)


def test_a_pillow_image_is_looked_at_as_its_file_is(photo, tmp_path) -> None:
    image = Image.open(photo)
    turned = image.getexif()
    turned[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=turned)
    assert load_image(Image.open(tmp_path / "turned.png")) == load_image(tmp_path / "turned.png")
    assert load_image(tmp_path / "turned.png").size == image.size[::-1]
