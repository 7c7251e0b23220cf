"""Settings of the captioner, which captions it learns, and the styles of a request."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from emocap.captioning.candidates import CandidateGenerator
from emocap.captioning.checkpoint import GenerationConfig
from emocap.cli.checks import check_style
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.errors import EmocapError
from emocap.files import write_json
from emocap.pseudo_labels.lift import LiftScale
from emocap.study.config.captioner import CaptionerConfig
from emocap.study.stages import captioner as captioning
from emocap.study.stages import captions as captions_stage
from emocap.study.stages.table import STAGES


def pairs_of(*rows) -> Pairs:
    builder = PairsBuilder("corpus.csv")
    for number, (image, style) in enumerate(rows):
        builder.add(f"line {number}", str(number), image, f"caption {number}", style=style)
    return builder.build()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pairs": "all", "rank": "probability"}, "pairs: all needs rank: lift"),
        ({"held_out_images": 20, "tuning_images": 19}, "tuning_images is 19 of 20 held_out_images; leave two or more"),
        ({"controls": ["shuffled", "shuffled"]}, "has a value twice"),
        ({"words": {"label_smoothing": 0.1}}, "label_smoothing"),
        ({"training": {"label_smoothing": 1.0}}, "label_smoothing"),
        ({"encoder": "heavy"}, "'student' or 'light'"),
    ],
)
def test_contradictory_settings_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        CaptionerConfig(**settings)


def test_every_setting_reaches_a_stage():
    """Each key is one that the captioner, the split or the stage of captions depends on."""
    own = {key.removeprefix("captioner.") for key in STAGES["captioner"].config_keys}
    later = {
        "held_out_images", "tuning_images", "guidance", "style_guidance", "guidance_steps", "strength", "rerank",
        "beams", "length_penalty", "top_p", "max_loss", "judge", "controls",
    }  # fmt: skip
    assert set(CaptionerConfig.model_fields) - own == later


def test_generation_takes_the_configured_settings():
    settings = CaptionerConfig(beams=3, length_penalty=0.7, guidance_steps=4, style_guidance=2.0, rerank="lift")
    config = captioning.generation_config(settings)
    assert (config.beams, config.length_penalty, config.guidance_steps, config.rerank) == (3, 0.7, 4, "lift")
    assert config.decoding()["style_guidance"] == 2.0


def test_images_without_a_style_are_counted(caplog):
    caplog.set_level(logging.INFO, "emocap")
    pairs = pairs_of(("a.jpg", "factual"), ("a.jpg", "romantic"), ("b.jpg", "factual"), ("b.jpg", None))
    styles, names = captioning._styles(pairs)
    assert names == ["factual", "romantic"]
    assert styles == ["factual", "romantic", "factual", None]
    assert "1 captions of style romantic; 1 of 2 images have none" in caplog.text
    assert "1 captions have no style" in caplog.text


def test_styles_need_a_column():
    with pytest.raises(EmocapError, match="no caption of the source has a style; name its column with source.columns"):
        captioning._styles(pairs_of(("a.jpg", None)))


def test_unknown_style_is_refused_before_anything_is_loaded(tmp_path):
    write_json(tmp_path / "captioner.json", {"labels": ["happy"], "styles": ["factual", "romantic"]})
    check_style(tmp_path, "romantic")
    with pytest.raises(EmocapError, match="--style noir: expected one of factual, romantic"):
        check_style(tmp_path, "noir")
    write_json(tmp_path / "captioner.json", {"labels": ["happy"]})
    with pytest.raises(EmocapError, match="--style romantic: but the captioner knows no styles"):
        check_style(tmp_path, "romantic")


class FakeStudy:
    """A unit whose teacher finds captions 0 and 2 sad and caption 1 happy, beyond the mean."""

    def __init__(self, tmp_path, vocabulary, settings):
        self.config = SimpleNamespace(captioner=settings, pseudo_labels=SimpleNamespace(p=1))
        self.run, self.vocabulary, self.seed = tmp_path, vocabulary, 0
        self._probabilities = np.array([[0.5, 0.3, 0.1], [0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.6, 0.2, 0.1]])
        LiftScale.of(self._probabilities).save(tmp_path / "lift.json", vocabulary)

    def pairs(self, domain):
        return pairs_of(*((f"{row}.jpg", None) for row in range(4)))

    def array(self, file):
        return self._probabilities


def test_lift_conditions_all_captions_of_the_source(tmp_path, vocabulary):
    study = FakeStudy(tmp_path, vocabulary, CaptionerConfig(pairs="all"))
    pairs, weights = captioning.training_captions(study)
    assert len(pairs) == 4
    assert weights.argmax(axis=1)[:3].tolist() == [1, 0, 1]
    assert (weights > 0).sum(axis=1).max() == 1


def test_equal_probabilities_leave_no_conditions(tmp_path, vocabulary):
    study = FakeStudy(tmp_path, vocabulary, CaptionerConfig(pairs="all"))
    study._probabilities[:] = 0.3
    LiftScale.of(study._probabilities).save(tmp_path / "lift.json", vocabulary)
    with pytest.raises(EmocapError, match="the teacher's probabilities are the same for all captions"):
        captioning.training_captions(study)


@pytest.mark.parametrize("controls", [["shuffled"], []])
def test_control_of_former_configuration_is_not_judged(controls, tmp_path, monkeypatch):
    """Its folder is still there."""
    (tmp_path / "captioner_shuffled" / "model").mkdir(parents=True)
    study = SimpleNamespace(
        config=SimpleNamespace(captioner=CaptionerConfig(controls=controls)), seed=0, folder=tmp_path.joinpath,
        pairs=lambda domain: pairs_of(("a", None)), store=lambda domain: None,
    )  # fmt: skip
    saved = SimpleNamespace(generator=lambda device: None)
    loaded, names = [], ("human", "without emotion", "emotion, not guided")
    monkeypatch.setattr(captions_stage, "caption_systems", lambda *args: {name: ["a"] for name in names})
    monkeypatch.setattr(captions_stage, "control_systems", lambda generator, shuffled, *args: {})
    monkeypatch.setattr(captions_stage, "load_captioner", lambda folder: loaded.append(folder.name) or saved)
    test_set = SimpleNamespace(features=[None])
    captions_stage._generate(study, CandidateGenerator(None, None, 1), GenerationConfig(), None, test_set, [])
    assert loaded == [f"captioner_{name}" for name in controls]
