"""The captioner in a study, on the tiny corpora, where one word of a caption makes people happy or sad."""

import shutil

import numpy as np
import pytest
import torch

from emocap import EmotionCaptioner
from emocap.captioning.checkpoint import find_captioner
from emocap.captioning.rerank import UNFAITHFUL
from emocap.errors import EmocapError
from emocap.files import read_json, write_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, units_of
from emocap.study.stages import captioner as captioning
from emocap.study.stages import captions as caption_judging

CAPTIONER = {
    "held_out_images": 24,
    "guidance": [1.0, 2.0],
    "strength": [0.0, 1.0],
    "candidates": 4,
    "judge": "tfidf",
    "training": {"epochs": 30, "learning_rate": 3e-3, "head_learning_rate": 3e-3, "batch_size": 16},
}


def run(path, folder, overrides=None):
    return run_study(load_config(path, overrides), folder, report=write_report)


def study_of(tiny_study, **changes):
    """A study whose teacher has learnt the word well enough to teach it."""
    teacher = {"epochs": 15, "learning_rate": 3e-3, "batch_size": 16, "select_by": None}
    settings = {"captioner": CAPTIONER, "pseudo_labels": {"p": 1, "fraction": 1.0}, "teacher": teacher}
    return tiny_study(**(settings | changes))


@pytest.fixture(scope="module")
def module_tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("captioning")


@pytest.fixture
def finished(module_tmp, tiny_study):
    """A run with a captioner; made once for all tests here."""
    folder = module_tmp / "run"
    if not (folder / "report.html").is_file():
        run(study_of(tiny_study), folder)
    return folder


def told_for(found, system, emotion):
    return [entry[system].lower().split() for entry in found["captions"] if entry["emotion"] == emotion]


def test_what_is_asked_for_is_written_and_the_judge_sees_it(finished) -> None:
    found = read_json(finished / "captioner" / "captions.json")
    for emotion, word in (("happy", "celebrates"), ("sad", "lost")):
        for system in ("guided", "guided and re-ranked"):
            assert np.mean([word in words for words in told_for(found, system, emotion)]) > 0.8, (emotion, system)
    systems = found["systems"]
    gain = found["differences"]["guided and re-ranked"]["alignment"]
    assert gain["difference"] > 0.15
    assert systems["guided and re-ranked"]["alignment"]["mean"] > systems["people"]["alignment"]["mean"]


def test_the_captioner_begins_with_the_students_encoder_and_a_reader_that_was_trained_before(
    finished, tiny_study, monkeypatch
) -> None:
    (study,) = units_of(load_config(study_of(tiny_study)), finished)
    began = {}

    def instead(model, *args, name, **kwargs):
        began[name] = {key: value.clone() for key, value in model.state_dict().items()}
        if name == "captioner":
            raise InterruptedError
        return train(model, *args, name=name, **kwargs)

    train = captioning.train
    monkeypatch.setattr(captioning, "train", instead)
    with pytest.raises(InterruptedError):
        captioning.captioner(study)
    shutil.rmtree(finished / "captioner" / "words")
    student = study.load("student").model.visualbert.state_dict()
    for key, value in student.items():
        assert torch.equal(began["captioner"][f"encoder.{key}"], value), key
    before, after = began["captioner's words"]["reader.0.weight"], began["captioner"]["regions.0.weight"]
    assert not torch.equal(before, after)
    assert read_json(finished / "captioner" / "words.json")["run"] == "captioner's words"


def test_a_captioner_that_a_former_configuration_left_is_not_taken(finished, tiny_study, tmp_path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    assert find_captioner(tmp_path / "run") == tmp_path / "run" / "captioner" / "model"
    run_study(load_config(study_of(tiny_study)), tmp_path / "run", report=write_report, until="splits")
    assert find_captioner(tmp_path / "run") is not None, "stopped early, the run still has it"
    run(study_of(tiny_study, captioner=None), tmp_path / "run")
    assert find_captioner(tmp_path / "run") is None
    with pytest.raises(EmocapError, match="holds no captioner"):
        EmotionCaptioner.from_pretrained(tmp_path / "run")


def test_the_judge_was_fitted_to_pairs_that_no_model_saw(finished) -> None:
    judge = read_json(finished / "captioner" / "captions.json")["judge"]
    parts = read_json(finished / "splits.json")["parts"]
    assert judge["n_train_pairs"] < len(parts["test"])
    assert judge["n_test_pairs"] == len(parts["train"]) + len(parts["validation"])
    assert judge["scores"]["mean_average_precision"] > judge["prior"]["mean_average_precision"] + 0.1


def test_another_family_judges_the_same_captions(finished) -> None:
    found = read_json(finished / "captioner" / "captions.json")
    (other,) = found["other_judges"].values()
    assert other["judge"]["model"] == "vectors"
    assert set(other["systems"]) == set(found["systems"])
    assert other["differences"]["guided and re-ranked"]["alignment"]["difference"] > 0


def test_judging_anew_keeps_the_trained_captioner(finished, tiny_study, tmp_path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    weights = tmp_path / "run" / "captioner" / "model" / "model.safetensors"
    before, judged = weights.stat().st_mtime_ns, read_json(tmp_path / "run" / "stages" / "captions.json")
    run(study_of(tiny_study, captioner=CAPTIONER | {"guidance": [1.0], "max_loss": 0.5}), tmp_path / "run")
    assert weights.stat().st_mtime_ns == before
    assert read_json(tmp_path / "run" / "stages" / "captions.json")["fingerprint"] != judged["fingerprint"]
    assert read_json(tmp_path / "run" / "captioner" / "captions.json")["guidance"] == 1.0


def test_a_lost_list_of_held_out_pictures_is_drawn_again_and_nothing_trained(finished, tiny_study, tmp_path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    images, weights = (tmp_path / "run" / name for name in ("caption_images.json", "captioner/model/model.safetensors"))
    before, trained = images.read_bytes(), weights.stat().st_mtime_ns
    images.unlink()
    run(study_of(tiny_study), tmp_path / "run")
    assert images.read_bytes() == before
    assert weights.stat().st_mtime_ns == trained


def test_held_out_pictures_are_in_no_training(finished, tiny_study) -> None:
    images = read_json(finished / "caption_images.json")
    assert (len(images["choose"]), len(images["judge"])) == (12, 12)
    assert not set(images["choose"]) & set(images["judge"])
    (study,) = units_of(load_config(tiny_study(captioner=CAPTIONER)), finished)
    assert not {*images["choose"], *images["judge"]} & set(study.pairs("source").images)
    assert len(study.whole("source")) - len(study.pairs("source")) == 2 * 24


def test_pictures_of_the_target_are_never_judged_on_nor_those_with_one_caption(
    tiny_study, tiny_corpora, tmp_path
) -> None:
    """The teacher has seen the target's training pictures; a picture with one caption has no reference."""
    corpus = read_json(tiny_corpora / "captions_source.json")
    for image in corpus["images"][:20]:
        image["file_name"] = f"{image['id'] + 5}.jpg"  # as pictures of the target are called
    corpus["annotations"] = [one for one in corpus["annotations"] if one["image_id"] < 70 or one["id"] % 2]
    write_json(tmp_path / "shared.json", corpus)
    source = {"format": "coco", "path": str(tmp_path / "shared.json"), "images": "source"}
    folder = tmp_path / "run"
    path = study_of(tiny_study, source=source)
    run_study(load_config(path), folder, report=write_report, until="splits")
    images = read_json(folder / "caption_images.json")
    held_out = {*images["choose"], *images["judge"]}
    assert len(held_out) == 24
    assert all(len(name) > len("119.jpg") for name in held_out), "none of the target's"
    assert all(int(name.removesuffix(".jpg")) < 70 for name in held_out), "two captions each"


def test_people_are_no_reference_of_their_own_and_both_halves_are_their_own(finished, tiny_study) -> None:
    (study,) = units_of(load_config(study_of(tiny_study)), finished)
    parts = read_json(finished / "caption_images.json")
    source = study.whole("source")
    for name in ("choose", "judge"):
        eval_set = caption_judging._eval_set(study, name)
        assert eval_set.images == parts[name]
        for image, human, references in zip(eval_set.images, eval_set.human, eval_set.references, strict=True):
            told = [c for i, c in zip(source.images, source.captions, strict=True) if i == image]
            assert [human, *references] == told
    judged = read_json(finished / "captioner" / "captions.json")
    assert [entry["image"] for entry in judged["captions"]] == parts["judge"]
    assert judged["n_images"] == judged["trade_off"]["n_images"] == 12


def test_the_nearest_picture_lends_its_caption(finished, tiny_study) -> None:
    (study,) = units_of(load_config(study_of(tiny_study)), finished)
    pairs, store = study.pairs("source"), study.store("source")
    images = list(dict.fromkeys(pairs.images))[::7]
    eval_set = caption_judging.EvalSet(images, [], [], [store[image][0] for image in images], [])
    assert caption_judging._nearest(study, eval_set) == [pairs.captions[pairs.images.index(image)] for image in images]


def test_the_ranker_decides_and_guidance_reaches_what_is_judged(finished, tiny_study, monkeypatch) -> None:
    """A writer whose words depend on guidance alone, a ranker that likes one of them, a judge that likes another."""
    (study,) = units_of(load_config(study_of(tiny_study)), finished)
    eval_set = caption_judging._eval_set(study, "choose")

    def candidates(writer, eval_set, wanted, guidance, n):
        word = "plain" if not any(wanted) else f"g{guidance:g}"
        return [([f"{word} a", f"{word} b"], np.array([-1.0, -1.5])) for _ in wanted]

    def ranker(ranker, eval_set, found):
        return [np.array([[0.9 if caption == "g2 b" else 0.1, 0.5, 0.5] for caption in one]) for one in found]

    def judge(captions):
        return np.array([[0.9, 0.1, 0.1] if caption.startswith("g1") else [0.1, 0.9, 0.1] for caption in captions])

    monkeypatch.setattr(caption_judging, "_candidates", candidates)
    monkeypatch.setattr(caption_judging, "_rank_probabilities", ranker)
    monkeypatch.setattr(caption_judging, "cider_d", lambda texts, references: np.ones(len(texts)))
    eval_set.wanted = [0] * len(eval_set.images)
    labels = study.vocabulary.labels
    found, choice = caption_judging._choose(study.config.captioner, labels, None, None, eval_set, judge, 0)
    assert (choice.guidance, choice.strength) == (2.0, 1.0)
    points = {(p["guidance"], p["strength"]): p for p in found["trade_off"]["points"]}
    assert (points[2, 1]["alignment"]["mean"], points[2, 1]["judged_alignment"]["mean"]) == (1.0, 0.0)
    assert (points[1, 0]["alignment"]["mean"], points[1, 0]["judged_alignment"]["mean"]) == (0.0, 1.0)
    systems = caption_judging._systems(study, study.config.captioner, choice, None, None, eval_set)
    assert {name: texts[0] for name, texts in systems.items() if "picture" not in name and name != "people"} == {
        "without emotion": "plain a", "emotion, not guided": "g1 a", "guided": "g2 a", "guided and re-ranked": "g2 b",
    }  # fmt: skip


def test_a_captioner_deaf_to_emotions_is_told_of(finished, tiny_study, monkeypatch, caplog, tmp_path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    (study,) = units_of(load_config(study_of(tiny_study)), tmp_path / "run")
    hears = caption_judging._candidates
    caption_judging.captions(study)
    assert "does not hear it" not in caplog.text
    monkeypatch.setattr(
        caption_judging,
        "_candidates",
        lambda w, eval_set, wanted, g, n: hears(w, eval_set, [[] for _ in wanted], 1.0, n),
    )
    caption_judging.captions(study)
    assert "100% are the same with the emotion as without; the captioner does not hear it" in caplog.text


def test_the_default_is_the_point_of_most_alignment_that_keeps_the_captions_true(finished) -> None:
    found = read_json(finished / "captioner" / "captions.json")
    points, plain = found["trade_off"]["points"], found["trade_off"]["plain"]["cider_d"]["mean"]
    assert [(point["guidance"], point["strength"]) for point in points] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    true = [point for point in points if point["cider_d"]["mean"] >= 0.9 * plain]
    kept = true or [max(points, key=lambda point: point["cider_d"]["mean"])]
    best = max(kept, key=lambda point: (point["alignment"]["mean"], point["cider_d"]["mean"]))
    assert (found["guidance"], found["strength"]) == (best["guidance"], best["strength"])


def test_a_bare_emotion_word_does_not_win_the_ranking(finished, tiny_corpora) -> None:
    """The classifier may like it; the captioner, who has seen what captions of pictures look like, does not."""
    captioner = EmotionCaptioner.from_pretrained(finished)
    images = read_json(finished / "caption_images.json")["judge"][:6]
    honest = ["the dog sits lost quiet", "a child lost by sea"]
    for image in images:
        ranked = captioner.rank(tiny_corpora / "source" / image, ["sad sad sad sad", *honest], ["sad"])
        assert ranked[-1].number == 0
        assert ranked[-1].remarks == [UNFAITHFUL]
        assert not ranked[0].remarks


def test_what_was_chosen_is_the_default_of_the_saved_captioner(finished, tiny_corpora) -> None:
    found = read_json(finished / "captioner" / "captions.json")
    choice = read_json(finished / "captioner" / "model" / "choice.json")
    assert choice == {"guidance": found["guidance"], "strength": found["strength"]}
    (one, *_) = EmotionCaptioner.from_pretrained(finished).caption(
        tiny_corpora / "source" / "000000000003.jpg", ["sad"]
    )
    assert "lost" in one.caption.lower().split()


def test_a_captioner_needs_a_source_with_pictures_and_one_unit(tiny_study, tmp_path) -> None:
    for changes in ({"source": None}, {"features": None}, {"source": {"format": "coco", "path": "c.json"}}):
        with pytest.raises(EmocapError, match="captioner needs a source with pictures"):
            load_config(tiny_study(captioner=CAPTIONER, **changes))
    with pytest.raises(EmocapError, match="one split and one seed"):
        load_config(tiny_study(captioner=CAPTIONER, folds=3))
    with pytest.raises(EmocapError, match="hold out less than half"):
        run(tiny_study(captioner=CAPTIONER | {"held_out_images": 60}), tmp_path / "run")
