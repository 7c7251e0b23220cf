"""The captioner in a study, on the tiny corpora, in which one word of a caption evokes happy or sad."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from emocap import EmotionCaptioner
from emocap.captioning import tuning
from emocap.captioning.candidates import CandidateGenerator, Candidates
from emocap.captioning.checkpoint import find_captioner
from emocap.captioning.judging import Judge
from emocap.captioning.rerank import UNFAITHFUL
from emocap.captioning.retrieval import CaptionRetrieval
from emocap.captioning.systems import caption_systems
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.errors import EmocapError
from emocap.files import read_json, write_json
from emocap.pseudo_labels.lift import LiftScale
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, units_of
from emocap.study.stages import captioner as captioning
from emocap.study.stages import captions as captions_stage
from emocap.study.stages import splits

CAPTIONER = {
    "held_out_images": 24,
    "controls": ["shuffled"],
    "guidance": [1.0, 2.0],
    "strength": [0.0, 1.0],
    "candidates": 4,
    "judge": "tfidf",
    "training": {"epochs": 30, "learning_rate": 3e-3, "head_learning_rate": 3e-3, "batch_size": 16},
}


def run(path, folder, overrides=None):
    return run_study(load_config(path, overrides), folder, report=write_report)


def study_of(tiny_study, **changes):
    """A study whose teacher, and whose judge from the test pairs, learn the decisive words."""
    teacher = {"epochs": 15, "learning_rate": 3e-3, "batch_size": 16, "select_by": None}
    settings = {"captioner": CAPTIONER, "pseudo_labels": {"p": 1, "fraction": 1.0}, "teacher": teacher}
    return tiny_study(**(settings | changes))


@pytest.fixture(scope="module")
def module_tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("captioning")


@pytest.fixture
def finished(module_tmp, tiny_study):
    """A finished run with a captioner, shared by the tests of this module."""
    folder = module_tmp / "run"
    if not (folder / "report.html").is_file():
        run(study_of(tiny_study), folder)
    return folder


def words_for(results, system, emotion):
    return [entry[system].lower().split() for entry in results["captions"] if entry["emotion"] == emotion]


def test_captions_evoke_the_requested_emotion(finished) -> None:
    results = read_json(finished / "captioner" / "captions.json")
    evokes = {
        system: [
            word in words
            for emotion, word in (("happy", "celebrates"), ("sad", "lost"))
            for words in words_for(results, system, emotion)
        ]
        for system in results["systems"]
    }
    assert min(np.mean(evokes["guided"]), np.mean(evokes["guided and re-ranked"])) > 0.8
    assert np.mean(evokes["guided and re-ranked"]) - np.mean(evokes["without emotion"]) > 0.15
    systems = results["systems"]
    assert results["differences"]["guided and re-ranked"]["alignment"]["difference"] > 0  # no caption evokes awe here
    assert systems["guided and re-ranked"]["alignment"]["mean"] > systems["human"]["alignment"]["mean"]


def test_captioner_starts_from_student_and_trained_projector(finished, tiny_study, monkeypatch) -> None:
    (study,) = units_of(load_config(study_of(tiny_study)), finished)
    initial = {}

    def train_until_captioner(model, *args, name, **kwargs):
        initial[name] = {key: value.clone() for key, value in model.state_dict().items()}
        if name == "captioner":
            raise InterruptedError
        return train(model, *args, name=name, **kwargs)

    train = captioning.train
    monkeypatch.setattr(captioning, "train", train_until_captioner)
    with pytest.raises(InterruptedError):
        captioning.captioner(study)
    shutil.rmtree(finished / "captioner" / "words")
    student = study.load("student").model.visualbert.state_dict()
    for key, value in student.items():
        assert torch.equal(initial["captioner"][f"encoder.{key}"], value), key
    before, after = initial["captioner: region words"]["projector.0.weight"], initial["captioner"]["regions.0.weight"]
    assert not torch.equal(before, after)
    assert read_json(finished / "captioner" / "words.json")["run"] == "captioner: region words"


def test_ignores_captioner_of_an_earlier_configuration(finished, tiny_study, tmp_path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    assert find_captioner(tmp_path / "run") == tmp_path / "run" / "captioner" / "model"
    run_study(load_config(study_of(tiny_study)), tmp_path / "run", report=write_report, until="splits")
    assert find_captioner(tmp_path / "run") is not None, "a run that stopped early still has it"
    run(study_of(tiny_study, captioner=None), tmp_path / "run")
    assert find_captioner(tmp_path / "run") is None
    with pytest.raises(EmocapError, match="contains no captioner"):
        EmotionCaptioner.from_pretrained(tmp_path / "run")


def test_judge_is_fitted_to_unseen_pairs(finished) -> None:
    judge = read_json(finished / "captioner" / "captions.json")["judge"]
    parts = read_json(finished / "splits.json")["parts"]
    assert judge["n_train_pairs"] < len(parts["test"])
    assert judge["n_test_pairs"] == len(parts["train"]) + len(parts["validation"])
    assert judge["scores"]["mean_average_precision"] > judge["prior"]["mean_average_precision"] + 0.1


def test_second_judge_scores_the_same_captions(finished) -> None:
    results = read_json(finished / "captioner" / "captions.json")
    (other,) = results["other_judges"].values()
    assert other["judge"]["model"] == "vectors"
    assert set(other["systems"]) == set(results["systems"])
    assert other["differences"]["guided and re-ranked"]["alignment"]["difference"] > 0


def test_judging_again_keeps_the_trained_captioner(finished, tiny_study, tmp_path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    weights = tmp_path / "run" / "captioner" / "model" / "model.safetensors"
    before, judged = weights.stat().st_mtime_ns, read_json(tmp_path / "run" / "stages" / "captions.json")
    run(study_of(tiny_study, captioner=CAPTIONER | {"guidance": [1.0], "max_loss": 0.5}), tmp_path / "run")
    assert weights.stat().st_mtime_ns == before
    assert read_json(tmp_path / "run" / "stages" / "captions.json")["fingerprint"] != judged["fingerprint"]
    assert read_json(tmp_path / "run" / "captioner" / "captions.json")["guidance"] == 1.0


def test_lost_held_out_images_are_sampled_again(finished, tiny_study, tmp_path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    images, weights = (tmp_path / "run" / name for name in ("caption_images.json", "captioner/model/model.safetensors"))
    before, trained = images.read_bytes(), weights.stat().st_mtime_ns
    images.unlink()
    run(study_of(tiny_study), tmp_path / "run")
    assert images.read_bytes() == before
    assert weights.stat().st_mtime_ns == trained


def test_held_out_images_are_never_trained_on(finished, tiny_study) -> None:
    images = read_json(finished / "caption_images.json")
    assert (len(images["choose"]), len(images["judge"])) == (12, 12)
    assert not set(images["choose"]) & set(images["judge"])
    (study,) = units_of(load_config(tiny_study(captioner=CAPTIONER)), finished)
    assert not {*images["choose"], *images["judge"]} & set(study.pairs("source").images)
    assert len(study.whole("source")) - len(study.pairs("source")) == 2 * 24


def test_excludes_target_images_and_images_with_one_caption(tiny_study, tiny_corpora, tmp_path) -> None:
    """The teacher has seen the target's training images; an image with one caption has no reference."""
    corpus = read_json(tiny_corpora / "captions_source.json")
    for image in corpus["images"][:20]:
        image["file_name"] = f"{image['id'] + 5}.jpg"  # the names of the target's images
    corpus["annotations"] = [
        annotation for annotation in corpus["annotations"] if annotation["image_id"] < 70 or annotation["id"] % 2
    ]
    write_json(tmp_path / "shared.json", corpus)
    source = {"format": "coco", "path": str(tmp_path / "shared.json"), "images": "source"}
    folder = tmp_path / "run"
    path = study_of(tiny_study, source=source)
    run_study(load_config(path), folder, report=write_report, until="splits")
    images = read_json(folder / "caption_images.json")
    held_out = {*images["choose"], *images["judge"]}
    assert len(held_out) == 24
    assert all(len(name) > len("119.jpg") for name in held_out), "none of the target"
    assert all(int(name.removesuffix(".jpg")) < 70 for name in held_out), "two captions each"


def test_human_captions_are_not_their_own_references(finished, tiny_study) -> None:
    (study,) = units_of(load_config(study_of(tiny_study)), finished)
    parts = read_json(finished / "caption_images.json")
    source = study.whole("source")
    for name in ("choose", "judge"):
        eval_set = captions_stage._eval_set(study, name)
        assert eval_set.images == parts[name]
        for image, human, references in zip(eval_set.images, eval_set.human, eval_set.references, strict=True):
            expected = [c for i, c in zip(source.images, source.captions, strict=True) if i == image]
            assert [human, *references] == expected
    judged = read_json(finished / "captioner" / "captions.json")
    assert [entry["image"] for entry in judged["captions"]] == parts["judge"]
    assert judged["n_images"] == judged["trade_off"]["n_images"] == 12


def test_nearest_image_provides_its_caption(finished, tiny_study) -> None:
    (study,) = units_of(load_config(study_of(tiny_study)), finished)
    pairs, store = study.pairs("source"), study.store("source")
    images = list(dict.fromkeys(pairs.images))[::7]
    expected = [pairs.captions[pairs.images.index(image)] for image in images]
    retrieval = CaptionRetrieval.of(pairs.images, pairs.captions, store)
    assert retrieval.nearest([store[image][0] for image in images]) == expected


class ScriptedGenerator(CandidateGenerator):
    """Captions depend on guidance only; the ranker prefers one of them."""

    def generate(self, features, emotions, guidance=1.0, styles=None):
        word = "plain" if not any(emotions) else f"g{guidance:g}"
        return [Candidates([f"{word} a", f"{word} b"], np.array([-1.0, -1.5])) for _ in emotions]

    def probabilities(self, features, candidates):
        return [
            np.array([[0.9 if caption == "g2 b" else 0.1, 0.5, 0.5] for caption in own.captions]) for own in candidates
        ]


def test_ranker_decides_and_guidance_reaches_the_judge(finished, tiny_study, monkeypatch) -> None:
    """The ranker prefers one of the captions, the judge a different one."""
    (study,) = units_of(load_config(study_of(tiny_study)), finished)
    eval_set = captions_stage._eval_set(study, "choose")

    def judge(captions):
        return np.array([[0.9, 0.1, 0.1] if caption.startswith("g1") else [0.1, 0.9, 0.1] for caption in captions])

    monkeypatch.setattr(tuning, "cider_d", lambda texts, references: np.ones(len(texts)))
    eval_set.emotions = [0] * len(eval_set.images)
    labels, settings = study.vocabulary.labels, study.config.captioner
    generator = ScriptedGenerator(None, None, settings.candidates)
    scale = LiftScale(np.zeros(3), np.ones(3))
    config, trade_off = tuning.choose_generation_config(
        generator,
        eval_set,
        Judge(judge, judge, scale),
        labels,
        scale,
        guidance=settings.guidance,
        strength=settings.strength,
        max_loss=settings.max_loss,
        seed=0,
    )
    assert (config.guidance, config.strength) == (2.0, 1.0)
    points = {(p["guidance"], p["strength"]): p for p in trade_off["points"]}
    assert (points[2, 1]["alignment"]["mean"], points[2, 1]["judged_alignment"]["mean"]) == (1.0, 0.0)
    assert (points[1, 0]["alignment"]["mean"], points[1, 0]["judged_alignment"]["mean"]) == (0.0, 1.0)
    ranker = tuning.ranker_of(generator, labels, config.strength, scale)
    retrieval = CaptionRetrieval.of([], [], None)
    systems = caption_systems(generator, eval_set, config, ranker, retrieval, seed=0)
    assert {name: texts[0] for name, texts in systems.items() if name != "human"} == {
        "without emotion": "plain a", "emotion, not guided": "g1 a", "guided": "g2 a", "guided and re-ranked": "g2 b",
    }  # fmt: skip


def test_warns_of_captioner_that_ignores_emotions(finished, tiny_study, monkeypatch, caplog, tmp_path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    (study,) = units_of(load_config(study_of(tiny_study)), tmp_path / "run")
    generate = CandidateGenerator.generate
    captions_stage.captions(study)
    assert "the captioner ignores it" not in caplog.text
    monkeypatch.setattr(
        CandidateGenerator,
        "generate",
        lambda self, features, emotions, guidance=1.0, styles=None: generate(self, features, [[] for _ in emotions]),
    )
    captions_stage.captions(study)
    assert "100% are identical with and without the emotion; the captioner ignores it" in caplog.text


def test_chooses_best_alignment_within_maximum_loss(finished) -> None:
    results = read_json(finished / "captioner" / "captions.json")
    points, plain = results["trade_off"]["points"], results["trade_off"]["plain"]["cider_d"]["mean"]
    assert [(point["guidance"], point["strength"]) for point in points] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    eligible = [point for point in points if point["cider_d"]["mean"] >= 0.9 * plain]
    candidates = eligible or [max(points, key=lambda point: point["cider_d"]["mean"])]
    best = max(candidates, key=lambda point: (point["alignment"]["mean"], point["cider_d"]["mean"]))
    assert (results["guidance"], results["strength"]) == (best["guidance"], best["strength"])


def test_bare_emotion_word_does_not_win(finished, tiny_corpora) -> None:
    """The classifier may prefer it; to the captioner, trained on captions of images, it is unlikely."""
    captioner = EmotionCaptioner.from_pretrained(finished)
    images = read_json(finished / "caption_images.json")["judge"][:6]
    honest = ["the dog sits lost quiet", "a child lost by sea"]
    for image in images:
        ranked = captioner.rank(tiny_corpora / "source" / image, ["sad sad sad sad", *honest], ["sad"])
        assert ranked[-1].number == 0
        assert ranked[-1].remarks == [UNFAITHFUL]
        assert not ranked[0].remarks


def test_chosen_settings_are_the_saved_defaults(finished, tiny_corpora) -> None:
    results = read_json(finished / "captioner" / "captions.json")
    config = read_json(finished / "captioner" / "model" / "generation.json")
    assert {key: config[key] for key in ("guidance", "strength")} == {
        "guidance": results["guidance"], "strength": results["strength"],
    }  # fmt: skip
    (best, *_) = EmotionCaptioner.from_pretrained(finished).caption(
        tiny_corpora / "source" / "000000000003.jpg", ["sad"]
    )
    assert "lost" in best.caption.lower().split()


def test_captioner_needs_images_and_a_single_unit(tiny_study, tmp_path) -> None:
    for changes in ({"source": None}, {"features": None}, {"source": {"format": "coco", "path": "c.json"}}):
        with pytest.raises(EmocapError, match="captioner needs a source with images"):
            load_config(tiny_study(captioner=CAPTIONER, **changes))
    with pytest.raises(EmocapError, match="one split and one seed"):
        load_config(tiny_study(captioner=CAPTIONER, folds=3))
    with pytest.raises(EmocapError, match="hold out less than half"):
        run(tiny_study(captioner=CAPTIONER | {"held_out_images": 60}), tmp_path / "run")


def test_images_with_styled_captions_only_are_not_held_out(tmp_path) -> None:
    """Of image 0 and 1 people wrote a plain caption and two styled ones, which are no references."""
    builder = PairsBuilder(tmp_path / "source.csv")
    for number in range(8):
        for copy in range(3):
            style = "romantic" if number < 2 and copy else None
            builder.add("", f"{number}-{copy}", f"{number}.jpg", f"caption {number} {copy}", style=style)
    source = builder.build()
    rows = np.arange(len(source))
    for asked, names in ((3, {f"{number}.jpg" for number in range(2, 8)}), (4, None)):
        settings = SimpleNamespace(held_out_images=asked, tuning_images=None)
        study = SimpleNamespace(config=SimpleNamespace(captioner=settings), seed=0, run=tmp_path)
        if names is None:
            with pytest.raises(EmocapError, match="has 6 images with two captions or more without a style"):
                splits._hold_out(study, source, rows, rows)
        else:
            left = splits._hold_out(study, source, rows, rows)
            parts = read_json(tmp_path / "caption_images.json")
            assert {*parts["choose"], *parts["judge"]} <= names
            assert len(left) == 3 * (8 - asked)
