"""A model over another text encoder than VisualBERT predicts, ranks and explains as others do."""

import numpy as np
import pytest
from PIL import Image

from emocap import EmotionPredictor
from emocap.api.attribution import effects, tokenize_words
from emocap.api.rewording import neighbours
from emocap.classifiers.load import load_classifier
from emocap.models.initialisation import build_config, load_backbone
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.store.format import feature_fingerprint
from emocap.training.checkpoint import ModelCard, load_model, load_tokenizer, save_model

from ..tiny_encoders import write_tiny_encoder

SETTINGS = {"rows": 1, "columns": 2, "dim": 16}
CAPTIONS = ["a dog waits alone", "the child celebrates at the party by the sea of night", "storm"]


@pytest.fixture(params=["mpnet", "modernbert"])
def folder(request, vocabulary, tmp_path):
    """The folder of a model of images and captions."""
    (tmp_path / "backbone").mkdir()
    backbone = write_tiny_encoder(tmp_path / "backbone", request.param)
    config = build_config(backbone, vocabulary, pooling="mean", visual_token_type=0, visual_dim=16)
    model, _ = load_backbone(config, backbone)
    settings = GridExtractor(**SETTINGS).settings
    features = {
        "fingerprint": feature_fingerprint("grid", settings, "", 16),
        "extractor": "grid",
        "settings": settings,
        "dim": 16,
    }
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 16, features, "teacher", kind=model.kind)
    save_model(tmp_path / "model", model.eval(), load_tokenizer(backbone), card)
    return tmp_path / "model"


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8))


def by_emotion(predictions) -> list[float]:
    return [p.probability for p in sorted(predictions, key=lambda p: p.emotion)]


def test_batch_predicts_what_single_pairs_do(folder, image) -> None:
    predictor, classifier = EmotionPredictor.from_pretrained(folder), load_classifier(folder)
    together = classifier.probabilities([np.ones((2, 16), np.float32), None, None], CAPTIONS)
    alone = [
        classifier.probabilities([features], [caption])[0]
        for features, caption in zip([np.ones((2, 16), np.float32), None, None], CAPTIONS, strict=True)
    ]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert by_emotion(predictor.predict(image, CAPTIONS[0])) != by_emotion(predictor.predict(None, CAPTIONS[0]))


def test_explanation_sums_to_the_difference(folder) -> None:
    saved = load_model(folder)
    ids, _, positions = tokenize_words(saved.tokenizer, CAPTIONS[0], 16)
    regions = np.random.default_rng(1).normal(size=(3, 16)).astype(np.float32)
    words, by_region, log_odds, reference = effects(saved, ids, positions, regions, 1, 512)
    assert (len(words), len(by_region)) == (4, 3)
    assert words.sum() + by_region.sum() == pytest.approx(log_odds - reference, abs=0.05 * abs(log_odds) + 0.05)


def test_explains_and_rewords_a_caption(folder, image) -> None:
    explanation = EmotionPredictor.from_pretrained(folder).explain(image, CAPTIONS[0], "sad")
    assert [effect.word for effect in explanation.words] == CAPTIONS[0].split()
    found = neighbours(load_model(folder), ["dog"])
    assert len(found[0]) == 2
    assert "dog" not in found[0]
