"""The synthetic corpora: their official formats, exact probabilities, and that image and caption both matter."""

import hashlib
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score

from emocap.captioning.scores import alignment_hits
from emocap.demo.corpora import write_demo_corpora
from emocap.demo.drawing import draw_scene
from emocap.demo.effects import EFFECTS, FREQUENCIES, LABELS, THOUGHTS
from emocap.demo.feelings import (
    bayes_probabilities,
    prior_probabilities,
    thought_probabilities,
    union_probabilities,
)
from emocap.demo.scene import EVENTS, GRADES, LIGHTS, SETTINGS, SUBJECTS, TONES, Scene, image_combinations, sample_scene
from emocap.demo.wording import phrasings, read_caption, write_caption
from emocap.emotions import clean_emotion
from emocap.errors import EmocapError


def digests(folder):
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "corpora"
    write_demo_corpora(folder, n_target=40, n_source_images=12, seed=3)
    return folder


@pytest.fixture(scope="module")
def target_scenes():
    rng = np.random.default_rng(7)
    return [sample_scene(rng) for _ in range(1500)]


def test_only_equal_arguments_give_equal_bytes(demo, tmp_path):
    write_demo_corpora(tmp_path / "again", n_target=40, n_source_images=12, seed=3)
    assert digests(tmp_path / "again") == digests(demo)
    write_demo_corpora(tmp_path / "other", n_target=40, n_source_images=12, seed=4)
    assert not set(digests(tmp_path / "other").values()) & set(digests(demo).values())


@pytest.mark.parametrize("wrong", [{"n_target": 0}, {"n_source_images": -1}, {"seed": -1}])
def test_rejects_number_out_of_range_and_leaves_nothing(tmp_path, wrong):
    with pytest.raises(EmocapError, match=f"{next(iter(wrong))} is {next(iter(wrong.values()))}, expected") as caught:
        write_demo_corpora(tmp_path / "demo", **{"n_target": 2, "n_source_images": 2, **wrong})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_target_is_socratis_with_disagreeing_annotators(demo):
    pairs = json.loads((demo / "socratis/imCaptionEmotionExplanation_formatted.json").read_text())
    assert len(pairs) == 40
    images, typed, disagreeing = set(), set(), 0
    for entries in pairs.values():
        assert 4 <= len(entries) <= 8
        assert len({(image, caption) for image, caption, *_ in entries}) == 1
        images.add(entries[0][0])
        named = []
        for _, _, emotions, explanations, demographics in entries:
            assert 1 <= len(emotions) <= 3
            assert len(explanations) == len(emotions)
            assert all(text is None or isinstance(text, str) for text in explanations)
            assert set(demographics) == {"age", "gender", "education", "ethnicity"}
            typed.update(emotions)
            named.append(frozenset(filter(None, map(clean_emotion, emotions))))
        disagreeing += len(set(named)) > 1
    assert len(images) == 40
    assert {clean_emotion(text) for text in typed} - {None} <= set(LABELS)
    assert typed & {"", "none", "None", "not entered"}
    assert any(text != text.lower() for text in typed)
    assert disagreeing > 30


def test_oracle_has_a_row_per_pair_and_labels(demo):
    table = pq.read_table(demo / "socratis/oracle.parquet")
    pairs = json.loads((demo / "socratis/imCaptionEmotionExplanation_formatted.json").read_text())
    assert table["pair_id"].to_pylist() == list(pairs)
    assert json.loads(table.schema.metadata[b"labels"]) == sorted(FREQUENCIES)
    probabilities = np.array(table["probabilities"].to_pylist())
    assert probabilities.shape == (40, 29)
    assert ((probabilities > 0) & (probabilities < 1)).all()


def test_source_is_coco_with_five_captions_per_image(demo):
    coco = json.loads((demo / "coco/annotations/captions_train2017.json").read_text())
    assert set(coco) == {"info", "licenses", "images", "annotations"}
    assert [image["file_name"] for image in coco["images"][:2]] == ["000000000001.jpg", "000000000002.jpg"]
    assert len({annotation["id"] for annotation in coco["annotations"]}) == 60
    for image in coco["images"]:
        captions = [a["caption"] for a in coco["annotations"] if a["image_id"] == image["id"]]
        assert len(set(captions)) == len(captions) == 5
        with Image.open(demo / "coco/train2017" / image["file_name"]) as file:
            assert (file.format, file.mode, file.size) == ("JPEG", "RGB", (image["width"], image["height"]))


def test_union_of_two_annotators_by_hand():
    # one annotator with one draw and one with two: absent with 0.8^3 and 0.2^3
    assert union_probabilities(np.array([0.2, 0.8]), [1, 2]) == pytest.approx([0.488, 0.992])
    assert union_probabilities(np.array([0.2, 0.8]), [0, 0]) == pytest.approx([0.0, 0.0])


def test_union_formula_agrees_with_simulated_annotators():
    rng = np.random.default_rng(0)
    thought = np.array([0.5, 0.3, 0.15, 0.05])
    n = 20_000
    named = np.zeros((n, 4), dtype=bool)
    sizes, shares = list(THOUGHTS), list(THOUGHTS.values())
    for row in range(n):
        drawn = rng.choice(4, int(rng.choice(sizes, rng.integers(4, 9), p=shares).sum()), p=thought)
        named[row, drawn] = True
    np.testing.assert_allclose(named.mean(axis=0), union_probabilities(thought), atol=4 * 0.5 / np.sqrt(n))


def test_draws_have_a_distribution_and_known_effects():
    thought = thought_probabilities([("dog", "beach", "day", "warm", "cake", "funny")])
    assert thought.shape == (1, 29)
    assert thought.sum() == pytest.approx(1.0)
    factors = {*SUBJECTS, *SETTINGS, *LIGHTS, *GRADES, *EVENTS, *TONES}
    named = {name for key in EFFECTS for name in key.split(" & ")}
    assert named == factors


def test_unseen_factors_are_marginalised_exactly():
    scene = Scene("dog", "beach", "storm", "cold", "fire", "funny", True)
    weights = np.array(list(TONES.values())) / sum(TONES.values())
    by_tone = union_probabilities(thought_probabilities([(*scene.visible, tone) for tone in TONES]))
    np.testing.assert_allclose(bayes_probabilities([scene], caption=False)[0], weights @ by_tone)
    combinations, shares = image_combinations("dog", "beach")
    assert shares.sum() == pytest.approx(1.0)
    by_image = union_probabilities(thought_probabilities([(*visible, "funny") for visible in combinations]))
    np.testing.assert_allclose(bayes_probabilities([scene], image=False)[0], shares @ by_image)


def test_emotions_are_about_as_frequent_as_in_socratis():
    prior = prior_probabilities()
    assert LABELS[int(prior.argmax())] == "happy"
    assert 0.6 < prior.max() < 0.7
    assert prior.min() > 0.03
    assert prior.sum() == pytest.approx(3.97, abs=0.3)
    np.testing.assert_allclose(prior, list(FREQUENCIES.values()), atol=0.04)


def test_image_and_caption_each_add_information(target_scenes):
    rng = np.random.default_rng(1)
    truth = bayes_probabilities(target_scenes)
    targets = rng.random(truth.shape) < truth

    def scores(image, caption):
        guesses = bayes_probabilities(target_scenes, image=image, caption=caption)
        some = targets.any(axis=1)
        best = np.argsort(-guesses, axis=1)[:, :3]
        recall = (np.take_along_axis(targets, best, 1).sum(1)[some] / targets.sum(1)[some]).mean()
        return recall, average_precision_score(targets, guesses, average="macro")

    both, image, caption, neither = (scores(*seen) for seen in ((1, 1), (1, 0), (0, 1), (0, 0)))
    assert both[0] > neither[0] + 0.15
    assert both[1] > 2 * neither[1]
    for single in (image, caption):
        assert neither[0] + 0.04 < single[0] < both[0] - 0.04
        assert neither[1] + 0.1 < single[1] < both[1] - 0.04


def test_captions_are_varied_and_of_reasonable_length():
    rng = np.random.default_rng(2)
    captions = [write_caption(rng, sample_scene(rng, source=k % 6 > 0)) for k in range(7200)]
    assert len(set(captions)) >= 5000
    assert {len(caption.split()) for caption in captions} <= set(range(6, 23))
    assert not any("{" in caption or "  " in caption or " ," in caption for caption in captions)
    assert min(len(set(phrasings(tone, subject))) for tone in TONES for subject in SUBJECTS) >= 12


def test_captions_parse_back_to_subject_and_tone():
    rng = np.random.default_rng(4)
    scenes = [sample_scene(rng) for _ in range(3000)]
    assert [read_caption(write_caption(rng, scene)) for scene in scenes] == [(s.subject, s.tone) for s in scenes]
    assert {scene.tone for scene in scenes} == set(TONES)


def test_some_tone_evokes_almost_any_emotion():
    # otherwise even a captioner that knows the true probabilities could not evoke the target emotion
    targets = list(range(len(LABELS)))
    hits = []
    for subject in SUBJECTS:
        scenes = [Scene(subject, "beach", "day", "natural", "none", tone, False) for tone in TONES]
        probabilities = bayes_probabilities(scenes, image=False)
        hits.append(alignment_hits(probabilities[probabilities.argmax(axis=0)], targets))
    assert np.average(np.mean(hits, axis=0), weights=list(FREQUENCIES.values())) > 0.93


def test_captions_do_not_reveal_light_grade_event():
    dark = Scene("cat", "city", "night", "cold", "fire", "plain", True)
    bright = Scene("cat", "city", "day", "vivid", "cake", "plain", True)
    assert write_caption(np.random.default_rng(5), dark) == write_caption(np.random.default_rng(5), bright)


def test_light_and_grade_show_in_the_pixels():
    def mean(light, grade="natural"):
        rng = np.random.default_rng(0)
        drawn = [draw_scene(rng, ("dog", setting, light, grade, "none")) for setting in SETTINGS]
        return np.mean([np.asarray(image, dtype=float).mean(axis=(0, 1)) for image in drawn], axis=0)

    day, night, storm, sunset = (mean(light) for light in ("day", "night", "storm", "sunset"))
    assert night.mean() < storm.mean() < day.mean()
    assert sunset[0] - sunset[2] > day[0] - day[2] + 30
    faded, vivid = mean("day", "faded"), mean("day", "vivid")
    assert np.ptp(faded) < np.ptp(vivid) + 40
    assert mean("day", "warm")[2] < day[2] < mean("day", "cold")[2] + 10


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_can_be_drawn_with_every_event(subject):
    rng = np.random.default_rng(0)
    for event in EVENTS:
        assert draw_scene(rng, (subject, "snow", "fog", "faded", event)).size == (192, 144)
