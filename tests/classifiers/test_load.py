"""Loading models: the folder that a path names, ensembles with their members, and what is refused."""

import json

import numpy as np
import pytest
import torch

from emocap import EmotionPredictor
from emocap.api.ranking import rank_captions
from emocap.classifiers.base import StoredFeatures
from emocap.classifiers.ensemble import save_ensemble
from emocap.classifiers.evaluation_file import model_hash, read_evaluation, write_evaluation
from emocap.classifiers.load import load_classifier
from emocap.classifiers.places import find_model, run_directory
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import sha256_of

from .folders import FEATURES, card, write_baseline, write_network

CAPTIONS = ["party street", "the dog runs by the sea"]


@pytest.fixture
def run(tmp_path):
    """A run directory with a prior, TF-IDF, and an ensemble of them, which it recommends."""
    for kind in ("prior", "tfidf"):
        write_baseline(tmp_path / "run/baselines" / kind / "model", kind, temperature=2.0)
    members = ["../../../baselines/prior/model", "../../../baselines/tfidf/model"]
    save_ensemble(tmp_path / "run/models/ensemble/model", card("ensemble", members=members))
    recommend(tmp_path / "run", "models/ensemble/model")
    return tmp_path / "run"


def recommend(run, model) -> None:
    (run / "recommended.json").write_text(json.dumps({"model": model, "name": "ensemble", "reason": "best of two"}))


def change_card(folder, **changes) -> None:
    path = folder / "emocap.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("place", "model"),
    [
        ("", "models/ensemble/model"),
        ("models/ensemble", "models/ensemble/model"),
        ("baselines/tfidf", "baselines/tfidf/model"),
        ("baselines/tfidf/model", "baselines/tfidf/model"),
    ],
)
def test_finds_model_of_run_or_name(run, place, model) -> None:
    assert find_model(run / place) == run / model
    assert run_directory(run / model) == run
    assert EmotionPredictor.from_pretrained(run / place).folder == run / model


def test_logs_which_model_a_run_means(run, caplog) -> None:
    with caplog.at_level("INFO", "emocap"):
        load_classifier(run)
    assert caplog.messages == [f"{run}: uses ensemble (best of two)"]


@pytest.mark.parametrize("calibrated", [False, True])
def test_ensemble_is_mean_of_logits(run, calibrated) -> None:
    change_card(run / "models/ensemble/model", calibrated_members=calibrated, temperature=3.0)
    members = [load_classifier(run / "baselines" / kind) for kind in ("prior", "tfidf")]
    predict = [member.probabilities if calibrated else member.raw_probabilities for member in members]
    logits = [np.log(p) - np.log1p(-p) for p in (each([None, None], CAPTIONS) for each in predict)]
    expected = 1 / (1 + np.exp(-np.mean(logits, axis=0) / 3))
    assert load_classifier(run).probabilities([None, None], CAPTIONS) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "an ensemble without members"),
        (["../../../baselines/absent/model"], "its member ../../../baselines/absent/model is missing"),
        (["../../../../elsewhere/model"], "expected a relative path within"),
        (["/etc"], "names the model '/etc', expected a relative path within"),
        (["C:/models/model"], "expected a relative path within"),
        (["."], "an ensemble that is a member of itself"),
    ],
)
def test_refuses_unusable_members_in_one_line(run, members, message) -> None:
    change_card(run / "models/ensemble/model", members=members)
    with pytest.raises(EmocapError, match=message) as error:
        load_classifier(run)
    assert "\n" not in str(error.value)


def test_refuses_members_in_a_circle(run) -> None:
    save_ensemble(run / "models/other/model", card("ensemble", members=["../../ensemble/model"]))
    change_card(run / "models/ensemble/model", members=["../../other/model"])
    with pytest.raises(EmocapError, match="a member of itself"):
        load_classifier(run)


@pytest.mark.parametrize("model", ["../elsewhere/model", "/etc", "baselines/absent/model", None, ""])
def test_refuses_unusable_recommendation(run, model) -> None:
    write_baseline(run.parent / "elsewhere/model", "prior")
    recommend(run, model)
    with pytest.raises(EmocapError, match=r"recommended\.json: (names|recommends)"):
        load_classifier(run)


def test_says_what_a_folder_lacks(run, tmp_path) -> None:
    (run / "recommended.json").unlink()
    (run / "results.json").write_text("{}")
    for place, message in (
        (run, r"recommends no model \(no recommended.json\); let the study run to its end"),
        (tmp_path / "absent", "no such folder; give a run directory"),
        (run / "models", r"not a model folder \(no emocap.json\)"),
    ):
        with pytest.raises(EmocapError, match=message):
            load_classifier(place)


def test_network_reads_stored_features_lazily(tmp_path, tiny_model, tiny_bert) -> None:
    write_network(tmp_path / "model", tiny_model, tiny_bert, temperature=2.0)
    regions = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float16)
    captions = ["the dog runs", "a child sits by the sea and runs", "storm"]
    classifier = load_classifier(tmp_path)
    stored = StoredFeatures({"a.jpg": (regions,)}, ["a.jpg", "a.jpg", "b.jpg"])
    found = classifier.probabilities(stored, captions)
    assert classifier.network is not None
    for row, caption in enumerate(captions):
        batch = classifier.network.tokenizer(caption, return_tensors="pt", return_token_type_ids=False)
        visual = {} if row == 2 else {"visual_embeds": torch.from_numpy(regions).float()[None]}
        with torch.no_grad():
            logits = tiny_model(**batch, **visual).logits[0] / 2
        assert found[row] == pytest.approx(torch.sigmoid(logits).numpy(), abs=1e-5)
    assert np.abs(found[0] - classifier.probabilities([None], captions[:1])[0]).max() > 1e-4, "the image counts"


def test_ensemble_of_networks_and_captions_uses_images(run, tiny_model, tiny_bert) -> None:
    write_network(run / "teacher/model", tiny_model, tiny_bert)
    members = ["../../../teacher/model", "../../../baselines/tfidf/model"]
    change_card(run / "models/ensemble/model", members=members, features=FEATURES)
    ensemble = load_classifier(run)
    regions = np.ones((2, 8), dtype=np.float16)
    with_image, without = ensemble.probabilities([regions, None], ["party"] * 2)
    assert ensemble.uses_images
    assert np.abs(with_image - without).max() > 1e-5
    explanation = EmotionPredictor(ensemble).explain(None, "the dog celebrates", "sad")
    assert (explanation.method, len(explanation.words)) == ("deletion", 3)
    for features in (None, FEATURES | {"fingerprint": "0000000000000000"}):
        change_card(run / "models/ensemble/model", features=features)
        with pytest.raises(EmocapError, match="its member .*teacher/model reads other region features"):
            load_classifier(run)


def test_refuses_member_with_other_emotions(run) -> None:
    other = Vocabulary(("sad", "happy", "awe"))
    change_card(run / "baselines/prior/model", labels=list(other.labels), vocabulary=other.hash)
    with pytest.raises(EmocapError, match="baselines/prior/model"):
        load_classifier(run)


def test_refuses_network_with_weights_that_are_nan(tmp_path, tiny_model, tiny_bert) -> None:
    with torch.no_grad():
        tiny_model.fc.weight[0, 0] = torch.nan
    write_network(tmp_path / "model", tiny_model, tiny_bert)
    with pytest.raises(EmocapError, match=r"weights fc\.weight contain NaN or infinity"):
        load_classifier(tmp_path)


@pytest.mark.parametrize("place", ["", "baselines/tfidf"])
def test_ranks_captions_with_any_model(run, place) -> None:
    predictor = EmotionPredictor.from_pretrained(run / place)
    ranked = rank_captions(predictor, None, ["a table and a chair", "a party in the street"], ["happy"])
    assert ranked[0].caption == "a party in the street"
    assert predictor.predict(None, "storm")[0].emotion == "sad"
    with pytest.raises(EmocapError, match="captions only"):
        predictor.predict(np.zeros((4, 4, 3), dtype=np.uint8), "storm")


def test_unknown_words_and_truncation_are_warned_of(run) -> None:
    assert EmotionPredictor.from_pretrained(run / "baselines/tfidf").caption_warnings("party street") == []
    unknown = ["the caption consists mostly of words that the model does not know"]
    assert EmotionPredictor.from_pretrained(run).caption_warnings("quite other words here") == unknown
    assert EmotionPredictor.from_pretrained(run / "baselines/prior").caption_warnings("other words") == []


def test_hash_is_of_files_not_of_the_evaluation(run) -> None:
    folder, ensemble = run / "baselines/tfidf/model", run / "models/ensemble/model"
    before = model_hash(folder), model_hash(ensemble)
    assert len(before[0]) == 64
    assert read_evaluation(folder) is None
    (folder / "evaluation.json").write_text('{"score": 0.3}')
    (folder / "familiarity.safetensors").write_bytes(b"x")
    assert read_evaluation(folder) == {"score": 0.3}
    assert (model_hash(folder), model_hash(ensemble)) == before
    change_card(folder, threshold=0.4)
    assert model_hash(folder) != before[0]
    assert model_hash(ensemble) != before[1]


@pytest.mark.parametrize("name", ["arrays.safetensors", "terms.json"])
def test_refuses_files_other_than_those_that_were_evaluated(run, name) -> None:
    """A flipped bit gives other finite weights or another word, which no check of formats notices."""
    member = run / "baselines/tfidf/model"
    write_evaluation(member, {"score": 0.3}, {})
    change_card(member, temperature=3.0)
    load_classifier(run)
    data = bytearray((member / name).read_bytes())
    place = len(data) - 3 if name == "arrays.safetensors" else data.index(b"party")
    data[place] ^= 1
    (member / name).write_bytes(data)
    with pytest.raises(EmocapError, match=rf"{name}: missing or changed since the model was evaluated; restore it"):
        load_classifier(run)


@pytest.mark.parametrize(("text", "fault"), [("{", "not valid JSON at line 1"), ("[]", "contains a list")])
def test_refuses_damaged_evaluation_rather_than_missing_it(run, text, fault) -> None:
    (run / "baselines/tfidf/model/evaluation.json").write_text(text)
    with pytest.raises(EmocapError, match=rf"evaluation\.json: {fault}.*; restore the file, or run the study again"):
        load_classifier(run / "baselines/tfidf")


def test_refuses_recommendation_other_than_the_recorded_one(run) -> None:
    record, path = run / "stages/model_folders.json", run / "recommended.json"
    record.parent.mkdir()
    record.write_text(json.dumps({"outputs": {path.name: sha256_of(path)}}))
    load_classifier(run)
    recommend(run, "baselines/prior/model")
    with pytest.raises(EmocapError, match=r"recommended\.json: changed since the study wrote it; name a model folder"):
        load_classifier(run)
    load_classifier(run / "baselines/prior")
    record.write_text("{")
    load_classifier(run)


def test_damaged_recommendation_says_line_and_remedy(run) -> None:
    (run / "recommended.json").write_text('{"model": ')
    with pytest.raises(EmocapError, match=r"recommended\.json: not valid JSON at line 1.*run the study again"):
        load_classifier(run)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.1, 1.5])
@pytest.mark.parametrize("name", ["frequencies", "thresholds", "threshold"])
def test_refuses_card_with_impossible_share(run, name, number) -> None:
    folder = run / "baselines/tfidf/model"
    change_card(folder, **{name: number if name == "threshold" else [0.5, number, 0.5]})
    with pytest.raises(EmocapError, match=rf"emocap\.json: {name} has {number}, expected 0 to 1; restore the file"):
        load_classifier(folder)
