"""Explanations: effects sum to what they explain, find what decides, and hold when it is taken away."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from emocap import EmocapError, EmotionPredictor
from emocap.api.attribution import effects
from emocap.api.explanation import RegionEffect, words_of
from emocap.api.explanation_file import LOWERS, RAISES, tinted, write_explanation
from emocap.api.rewording import neighbours
from emocap.models.backbones import build_config, load_backbone
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.store.format import feature_fingerprint
from emocap.training.checkpoint import ModelCard, load_model, load_tokenizer, save_model

SETTINGS = {"rows": 1, "columns": 2, "dim": 16}
OTHERS = ("a", "dog", "child", "the", "sea", "runs", "sits")


def saved_in(folder, tiny_bert, vocabulary, train=False, sees=True):
    config = build_config(tiny_bert, vocabulary, pooling="mean", visual_token_type=0, visual_dim=16)
    model, _ = load_backbone(config, tiny_bert, seed=0)
    if train:
        learn(model, load_tokenizer(tiny_bert))
    settings = GridExtractor(**SETTINGS).settings
    features = {
        "fingerprint": feature_fingerprint("grid", settings, "", 16),
        "extractor": "grid",
        "settings": settings,
        "dim": 16,
    }
    features = features if sees else None
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 16, features, "AnB+", temperature=1.0 if train else 3.0)
    save_model(folder / "model", model, load_tokenizer(tiny_bert), card)
    return folder


def drawn(generator, n):
    """n captions of six words, where a storm makes sad, and regions, where a bright second one makes awe."""
    captions, regions, labels = [], generator.normal(size=(n, 3, 16)).astype(np.float32), np.zeros((n, 3), np.float32)
    for row in range(n):
        words = list(generator.choice(OTHERS, 6))
        if storm := generator.random() < 0.5:
            words[generator.integers(6)] = "storm"
        labels[row, 1] = storm
        bright = generator.random() < 0.5
        regions[row, 1, 0] = 6.0 if bright else -6.0
        labels[row, 2] = bright
        captions.append(" ".join(words))
    return captions, regions, labels


def learn(model, tokenizer) -> None:
    """Sad where there is a storm, awe where the second region is bright."""
    torch.manual_seed(0)
    model.train()
    generator = np.random.default_rng(0)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(150):
        captions, regions, labels = drawn(generator, 32)
        batch = tokenizer(captions, return_tensors="pt", padding=True, return_token_type_ids=False)
        loss = model(**batch, visual_embeds=torch.from_numpy(regions), labels=torch.from_numpy(labels)).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()


@pytest.fixture(scope="module")
def module_tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("explained")


@pytest.fixture
def trained(module_tmp, tiny_bert, vocabulary):
    """Trained once for all tests here."""
    if not (module_tmp / "model").is_dir():
        saved_in(module_tmp, tiny_bert, vocabulary, train=True)
    return load_model(module_tmp)


def explained(saved, caption, regions, emotion, steps=32):
    ids, _, places = words_of(saved.tokenizer, caption, 16)
    return ids, places, effects(saved, torch.device("cpu"), ids, places, regions, emotion, steps)


def test_effects_sum_to_what_the_pair_has_more_than_nothing(trained) -> None:
    captions, regions, _ = drawn(np.random.default_rng(5), 4)
    for caption, features in zip(captions, regions, strict=True):
        for emotion in range(3):
            _, places, (words, by_region, log_odds, reference) = explained(trained, caption, features, emotion, 128)
            assert (len(words), len(by_region)) == (6, 3) == (len(places), len(features))
            assert words.sum() + by_region.sum() == pytest.approx(log_odds - reference, abs=0.05 * abs(log_odds) + 0.05)


def test_the_word_and_the_region_that_decide_are_found(trained) -> None:
    captions, regions, labels = drawn(np.random.default_rng(6), 40)
    storms, by_region = [], []
    for caption, features, (_, sad, _) in zip(captions, regions, labels, strict=True):
        if sad:
            words = explained(trained, caption, features, 1)[2][0]
            storms.append(caption.split()[int(words.argmax())] == "storm")
        by_region.append(np.abs(explained(trained, caption, features, 2)[2][1]))
    assert np.mean(storms) > 0.9
    first, decides, last = np.mean(by_region, axis=0)
    assert decides > 2 * max(first, last)


def test_taking_the_first_word_away_costs_more_than_taking_any(trained) -> None:
    """Deletion against random deletion, after Petsiuk et al. 2018 (arXiv 1806.07421)."""
    captions, regions, labels = drawn(np.random.default_rng(7), 40)
    generator = np.random.default_rng(8)
    found, chance = [], []

    def log_odds(ids, features) -> float:
        with torch.no_grad():
            return float(
                trained.model(
                    input_ids=torch.tensor([ids]),
                    attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                    visual_embeds=torch.from_numpy(features)[None],
                ).logits[0, 1]
            )

    for caption, features, (_, sad, _) in zip(captions, regions, labels, strict=True):
        if sad:
            ids, places, (words, _, before, _) = explained(trained, caption, features, 1)
            for drops, word in ((found, int(words.argmax())), (chance, int(generator.integers(len(words))))):
                drops.append(before - log_odds([i for at, i in enumerate(ids) if at not in places[word]], features))
    assert np.mean(found) > np.mean(chance) + 1.0


@pytest.fixture
def predictor(tiny_bert, vocabulary, tmp_path) -> EmotionPredictor:
    return EmotionPredictor.from_pretrained(saved_in(tmp_path, tiny_bert, vocabulary))


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8))


def test_an_explanation_says_what_predict_says(predictor, picture) -> None:
    caption = "The dog, a child and the sea"
    first = predictor.predict(picture, caption)[0]
    found = predictor.explain(picture, caption)
    assert found.emotion == first.emotion
    assert found.probability == pytest.approx(first.probability, abs=1e-5)
    assert found.probability == pytest.approx(1 / (1 + np.exp(-found.log_odds)), abs=1e-5)
    assert [caption[one.start : one.end] for one in found.words] == [one.word for one in found.words]
    assert [one.box_xyxy for one in found.regions] == [(0, 0, 30, 40), (30, 0, 60, 40), (0, 0, 60, 40)]
    assert predictor.explain(picture, caption, "sad").emotion == "sad"


def test_other_wordings_move_emotions_as_predict_says(predictor, picture) -> None:
    caption = "The dog runs"
    before = {one.emotion: one.probability for one in predictor.predict(picture, caption)}
    found = predictor.explain(picture, caption, "awe").changes
    assert {one.caption for one in found if not one.instead} == {"dog runs", "The runs", "The dog"}
    for change in found:
        after = {one.emotion: one.probability for one in predictor.predict(picture, change.caption)}
        assert change.moves == pytest.approx({name: after[name] - before[name] for name in before}, abs=1e-5)
    moves = [abs(change.moves["awe"]) for change in found]
    assert moves == sorted(moves, reverse=True)


def test_a_caption_alone_has_no_regions_and_its_last_word_is_not_taken_away(predictor) -> None:
    found = predictor.explain(None, "dog")
    assert (found.regions, [one.word for one in found.words]) == ([], ["dog"])
    assert all(change.instead for change in found.changes)


def test_words_are_whole_and_punctuation_is_its_own(predictor) -> None:
    ids, spans, places = words_of(predictor._saved.tokenizer, "Dogs' sea, child!", 16)
    assert ["Dogs' sea, child!"[start:end] for start, end in spans] == ["Dogs", "'", "sea", ",", "child", "!"]
    assert sorted(place for word in places for place in word) == list(range(1, len(ids) - 1))


def test_a_neighbour_is_another_word_in_the_same_case(predictor) -> None:
    saved = predictor._saved
    found = neighbours(saved, "Dog", 3)
    assert len(found) == 3
    assert all(word[0].isupper() and word != "Dog" for word in found)
    assert neighbours(saved, "dog!") == neighbours(saved, "unheardof") == []


def test_an_unknown_emotion_or_an_empty_caption_is_refused(predictor, picture) -> None:
    with pytest.raises(EmocapError, match="nearest by name are sad"):
        predictor.explain(picture, "a dog", "sadd")
    with pytest.raises(EmocapError, match="caption is empty"):
        predictor.explain(picture, " ")


def test_the_picture_is_tinted_where_its_regions_move_the_emotion() -> None:
    grey = Image.new("RGB", (600, 300), (128, 128, 128))
    found = np.asarray(tinted(grey, [RegionEffect((0, 0, 300, 300), 1.0), RegionEffect((300, 0, 600, 300), -0.5)]))
    assert found.shape == (300, 600, 3)
    left, right = found[:, :300].reshape(-1, 3), found[:, 300:].reshape(-1, 3)
    assert (left == np.round(128 * 0.35 + 0.65 * np.array(RAISES))).all()
    assert (right == np.round(128 * (1 - 0.325) + 0.325 * np.array(LOWERS))).all()
    assert (np.asarray(tinted(grey, [])) == 128).all()
    assert tinted(Image.new("RGB", (96, 48)), []).size == (480, 240)


def test_a_page_fetches_nothing_and_shows_text_as_text(predictor, picture, tmp_path) -> None:
    caption = "the <b>dog</b> & a child"
    found = predictor.explain(picture, caption)
    write_explanation(found, picture, tmp_path / "why.html")
    text = (tmp_path / "why.html").read_text()
    assert "<b>dog" not in text
    assert {"&lt;", "&amp;"} <= set(re.findall("&[a-z]+;", text))
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert text.count("<li") == len(found.words)
    write_explanation(predictor.explain(None, "a dog"), None, tmp_path / "alone.html")
    assert "<img" not in (tmp_path / "alone.html").read_text()


def test_a_card_holds_the_picture_and_every_word(predictor, picture, tmp_path) -> None:
    found = predictor.explain(picture, "the dog waits at home " * 4)
    write_explanation(found, picture, tmp_path / "why.png")
    write_explanation(found, None, tmp_path / "words.PNG")
    whole, words = Image.open(tmp_path / "why.png"), Image.open(tmp_path / "words.PNG")
    assert whole.height > words.height + 300


def test_another_ending_is_refused_before_anything_is_written(predictor, picture, tmp_path) -> None:
    with pytest.raises(EmocapError, match=r"expected \.html or \.png"):
        write_explanation(predictor.explain(None, "a dog"), None, tmp_path / "why.txt")
    assert not (tmp_path / "why.txt").exists()
