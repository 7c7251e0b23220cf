"""Explanations: effects sum to the difference explained, find decisive words and regions, and predict deletions."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from emocap import EmocapError, EmotionPredictor
from emocap.api.attribution import effects, tokenize_words
from emocap.api.explanation import RegionEffect
from emocap.api.explanation_file import LOWERS, RAISES, tint, write_explanation
from emocap.api.rewording import neighbours
from emocap.classifiers.base import Classifier
from emocap.models.initialisation import build_config, load_backbone
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.store.format import feature_fingerprint
from emocap.training.checkpoint import ModelCard, load_model, load_tokenizer, save_model

SETTINGS = {"rows": 1, "columns": 2, "dim": 16}
OTHERS = ("a", "dog", "child", "the", "sea", "runs", "sits")


def saved_in(folder, tiny_bert, vocabulary, train=False, uses_images=True):
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
    features = features if uses_images else None
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 16, features, "AnB+", temperature=1.0 if train else 3.0)
    save_model(folder / "model", model, load_tokenizer(tiny_bert), card)
    return folder


def synthetic_pairs(generator, n):
    """n captions of six words, in which a storm evokes sad, and regions, in which a bright second one evokes awe."""
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
    """Train the model: sad with a storm, awe with a bright second region."""
    torch.manual_seed(0)
    model.train()
    generator = np.random.default_rng(0)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(150):
        captions, regions, labels = synthetic_pairs(generator, 32)
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
    ids, _, positions = tokenize_words(saved.tokenizer, caption, 16)
    return ids, positions, effects(saved, ids, positions, regions, emotion, steps)


def test_effects_sum_to_difference_from_baseline(trained) -> None:
    captions, regions, _ = synthetic_pairs(np.random.default_rng(5), 4)
    for caption, features in zip(captions, regions, strict=True):
        for emotion in range(3):
            _, positions, (words, by_region, log_odds, reference) = explained(trained, caption, features, emotion, 128)
            assert (len(words), len(by_region)) == (6, 3) == (len(positions), len(features))
            assert words.sum() + by_region.sum() == pytest.approx(log_odds - reference, abs=0.05 * abs(log_odds) + 0.05)


def test_finds_the_decisive_word_and_region(trained) -> None:
    captions, regions, labels = synthetic_pairs(np.random.default_rng(6), 40)
    storms, by_region = [], []
    for caption, features, (_, sad, _) in zip(captions, regions, labels, strict=True):
        if sad:
            words = explained(trained, caption, features, 1)[2][0]
            storms.append(caption.split()[int(words.argmax())] == "storm")
        by_region.append(np.abs(explained(trained, caption, features, 2)[2][1]))
    assert np.mean(storms) > 0.9
    first, decides, last = np.mean(by_region, axis=0)
    assert decides > 2 * max(first, last)


def test_deleting_the_strongest_word_lowers_log_odds_most(trained) -> None:
    """Deletion against random deletion, after Petsiuk et al. 2018 (arXiv 1806.07421)."""
    captions, regions, labels = synthetic_pairs(np.random.default_rng(7), 40)
    generator = np.random.default_rng(8)
    drops, random_drops = [], []

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
            ids, positions, (words, _, before, _) = explained(trained, caption, features, 1)
            for values, word in ((drops, int(words.argmax())), (random_drops, int(generator.integers(len(words))))):
                values.append(before - log_odds([i for at, i in enumerate(ids) if at not in positions[word]], features))
    assert np.mean(drops) > np.mean(random_drops) + 1.0


@pytest.fixture
def predictor(tiny_bert, vocabulary, tmp_path) -> EmotionPredictor:
    return EmotionPredictor.from_pretrained(saved_in(tmp_path, tiny_bert, vocabulary))


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8))


def test_explanation_agrees_with_predict(predictor, image) -> None:
    caption = "The dog, a child and the sea"
    first = predictor.predict(image, caption)[0]
    explanation = predictor.explain(image, caption)
    assert explanation.emotion == first.emotion
    assert explanation.probability == pytest.approx(first.probability, abs=1e-5)
    assert explanation.probability == pytest.approx(1 / (1 + np.exp(-explanation.log_odds)), abs=1e-5)
    assert [caption[word.start : word.end] for word in explanation.words] == [word.word for word in explanation.words]
    assert [region.box_xyxy for region in explanation.regions] == [(0, 0, 30, 40), (30, 0, 60, 40), (0, 0, 60, 40)]
    assert predictor.explain(image, caption, "sad").emotion == "sad"


def test_rewordings_agree_with_predict(predictor, image) -> None:
    caption = "The dog runs"
    before = {prediction.emotion: prediction.probability for prediction in predictor.predict(image, caption)}
    rewordings = predictor.explain(image, caption, "awe").rewordings
    assert {rewording.caption for rewording in rewordings if not rewording.replacement} == {
        "dog runs",
        "The runs",
        "The dog",
    }
    for rewording in rewordings:
        after = {
            prediction.emotion: prediction.probability for prediction in predictor.predict(image, rewording.caption)
        }
        assert rewording.probability_changes == pytest.approx(
            {name: after[name] - before[name] for name in before}, abs=1e-5
        )
    sizes = [abs(rewording.probability_changes["awe"]) for rewording in rewordings]
    assert sizes == sorted(sizes, reverse=True)


def test_caption_alone_keeps_its_last_word(predictor) -> None:
    explanation = predictor.explain(None, "dog")
    assert (explanation.regions, [word.word for word in explanation.words]) == ([], ["dog"])
    assert all(rewording.replacement for rewording in explanation.rewordings)


def test_words_are_whole_and_punctuation_is_separate(predictor) -> None:
    ids, spans, positions = tokenize_words(predictor._classifier.network.tokenizer, "Dogs' sea, child!", 16)
    assert ["Dogs' sea, child!"[start:end] for start, end in spans] == ["Dogs", "'", "sea", ",", "child", "!"]
    assert sorted(position for word in positions for position in word) == list(range(1, len(ids) - 1))


def test_neighbour_is_a_different_word_in_same_case(predictor) -> None:
    saved = predictor._classifier.network
    (words,) = neighbours(saved, ["Dog"], 3)
    assert len(words) == 3
    assert all(word[0].isupper() and word != "Dog" for word in words)
    assert neighbours(saved, ["dog!", "unheardof", "dog"], 3)[:2] == [[], []]
    assert neighbours(saved, ["dog!"]) == [[]]


def test_other_work_runs_between_forward_passes(predictor, image) -> None:
    """What runs in between may use the same model, and changes nothing."""
    caption = "the dog runs and the child sits by the quiet sea"
    alone, before = predictor.explain(image, caption, "sad"), predictor.predict(image, "a storm")
    passes, seen = [], []
    predictor._classifier.network.model.fc.register_forward_hook(lambda *_: passes.append(1))

    def between() -> None:
        n_passes = len(passes)
        seen.append(predictor.predict(image, "a storm") == before)
        del passes[n_passes:]

    interrupted = predictor.explain(image, caption, "sad", between=between)
    assert all(seen)
    assert len(seen) == len(passes) - 1, "not before the first"
    assert len(passes) >= 1 + 2 + 2, "captions, endpoints and gradients"
    assert interrupted == alone


class WithoutGradients(Classifier):
    """A classifier that gives its probabilities alone."""

    def __init__(self, classifier) -> None:
        super().__init__(classifier.card, classifier.folder)
        self.readers, self.raw_probabilities = classifier.readers, classifier.raw_probabilities

    readers = raw_probabilities = None


@pytest.fixture
def opaque(predictor) -> EmotionPredictor:
    return EmotionPredictor(WithoutGradients(predictor._classifier))


def test_deletion_gives_change_of_log_odds(opaque, image) -> None:
    def log_odds(caption: str, features=None) -> float:
        p = opaque.probabilities_for(features, [caption])[0, 1]
        return float(np.log(p / (1 - p)))

    caption = "The dog, a child"
    (features,) = opaque.features([image])
    explanation = opaque.explain(image, caption, "sad")
    assert [word.word for word in explanation.words] == ["The", "dog", "a", "child"]
    texts = ("dog, a child", "The , a child", "The dog, child", "The dog, a")
    for word, shorter in zip(explanation.words, texts, strict=True):
        assert word.effect == pytest.approx(log_odds(caption, features) - log_odds(shorter, features), abs=1e-4)
    without_second = log_odds(caption, np.delete(features, 1, axis=0))
    assert explanation.regions[1].effect == pytest.approx(log_odds(caption, features) - without_second, abs=1e-4)
    assert explanation.baseline_log_odds == pytest.approx(log_odds(""), abs=1e-4)
    assert {rewording.caption for rewording in explanation.rewordings} >= {"dog, a child", "The dog, a"}
    assert explanation.method == "deletion"


def test_page_says_how_effects_were_found(predictor, opaque, image, tmp_path) -> None:
    caption = "dog sea child " * 30
    texts = []
    for each in (predictor, opaque):
        write_explanation(each.explain(image, caption), image, tmp_path / "why.html")
        texts.append((tmp_path / "why.html").read_text())
    assert "Integrated gradients" in texts[0]
    assert "Integrated gradients" not in texts[1]
    assert "What the log-odds lose without each word or region." in texts[1]
    assert "Only the first 64 of 90 words are explained." in texts[1]


def test_deletion_explains_single_word_without_image(opaque) -> None:
    explanation = opaque.explain(None, "dog")
    assert ([word.word for word in explanation.words], explanation.regions, explanation.rewordings) == (["dog"], [], [])


def test_long_caption_is_explained_in_part(predictor, opaque) -> None:
    caption = "dog sea child " * 30
    assert len(predictor.explain(None, caption).words) == 14, "as far as the model reads"
    explanation = opaque.explain(None, caption)
    assert (len(explanation.words), explanation.method) == (64, "deletion")
    assert explanation.remarks == ["only the first 64 of 90 words are explained"]


def test_rejects_unknown_emotion_and_empty_caption(predictor, image) -> None:
    with pytest.raises(EmocapError, match="the most similar name is sad"):
        predictor.explain(image, "a dog", "sadd")
    with pytest.raises(EmocapError, match="caption is empty"):
        predictor.explain(None, " ")


def test_tints_image_by_region_effects() -> None:
    grey = Image.new("RGB", (600, 300), (128, 128, 128))
    pixels = np.asarray(tint(grey, [RegionEffect((0, 0, 300, 300), 1.0), RegionEffect((300, 0, 600, 300), -0.5)]))
    assert pixels.shape == (300, 600, 3)
    left, right = pixels[:, :300].reshape(-1, 3), pixels[:, 300:].reshape(-1, 3)
    assert (left == np.round(128 * 0.35 + 0.65 * np.array(RAISES))).all()
    assert (right == np.round(128 * (1 - 0.325) + 0.325 * np.array(LOWERS))).all()
    assert (np.asarray(tint(grey, [])) == 128).all()
    assert tint(Image.new("RGB", (96, 48)), []).size == (480, 240)


def test_page_is_self_contained_and_escapes_text(predictor, image, tmp_path) -> None:
    caption = "the <b>dog</b> & a child"
    explanation = predictor.explain(image, caption)
    write_explanation(explanation, image, tmp_path / "why.html")
    text = (tmp_path / "why.html").read_text()
    assert "<b>dog" not in text
    assert {"&lt;", "&amp;"} <= set(re.findall("&[a-z]+;", text))
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert text.count("<li") == len(explanation.words)
    write_explanation(predictor.explain(None, "a dog"), None, tmp_path / "alone.html")
    assert "<img" not in (tmp_path / "alone.html").read_text()


def test_card_contains_image_and_every_word(predictor, image, tmp_path) -> None:
    explanation = predictor.explain(image, "the dog waits at home " * 4)
    write_explanation(explanation, image, tmp_path / "why.png")
    write_explanation(explanation, None, tmp_path / "words.PNG")
    whole, words = Image.open(tmp_path / "why.png"), Image.open(tmp_path / "words.PNG")
    assert whole.height > words.height + 300


def test_rejects_unknown_ending_before_writing(predictor, image, tmp_path) -> None:
    with pytest.raises(EmocapError, match=r"expected \.html or \.png"):
        write_explanation(predictor.explain(None, "a dog"), None, tmp_path / "why.txt")
    assert not (tmp_path / "why.txt").exists()
