"""Texts and paintings with several annotators each: LeWiDi, NEmo+ and ArtEmis."""

import json
from collections import Counter
from pathlib import Path

import pytest

from emocap.corpora.formats.artemis import read_artemis
from emocap.corpora.formats.lewidi import read_lewidi
from emocap.corpora.formats.nemo import read_nemo
from emocap.corpora.options import ReadOptions
from emocap.corpora.read import guess_format, read_corpus
from emocap.errors import EmocapError


def item(task: str, text, annotators: str, annotations, **more) -> dict:
    return {
        "annotation task": task,
        "text": text,
        "annotators": annotators,
        "annotations": annotations,
        "soft_label": {},
        "split": "dev",
        "lang": "en",
        "other_info": {},
    } | more


def lewidi(folder: Path, *items: dict) -> Path:
    (folder / "TASK_dev.json").write_text(json.dumps({str(i): one for i, one in enumerate(items, 7)}))
    return folder / "TASK_dev.json"


def test_lewidi_zero_and_one_are_the_task_or_none(tmp_path) -> None:
    texts = {"post": "Great.", "reply": "Sure "}
    path = lewidi(
        tmp_path,
        item("irony detection", texts, "Ann0,Ann7", {"Ann0": "0", "Ann7": "1"}),
        item("irony detection", texts | {"post": "Hm."}, "Ann0", {"Ann0": "0"}, lang="es"),
    )
    assert guess_format(path) == "lewidi"
    pairs = read_corpus("lewidi", path)
    assert pairs.captions == ["Great. Sure", "Hm. Sure"]
    assert pairs.emotions == [["irony"], []]
    annotations = pairs.table["annotations"][0].as_py()
    assert [(one["annotator"], one["emotions"]) for one in annotations] == [("Ann0", []), ("Ann7", ["irony"])]
    assert pairs.splits == ["validation"] * 2
    assert pairs.notes == ("languages: en (1), es (1)",)


def test_lewidi_words_and_explanations_are_each_annotators(tmp_path) -> None:
    texts = {"context": "It rains.", "statement": "It is wet."}
    answers = {"Ann1": "neutral", "Ann2": "entailment,neutral"}
    reasons = {"explanations": ["who knows", "rain is wet", "perhaps"]}
    path = lewidi(tmp_path, item("natural language inference", texts, "Ann1,Ann2,Ann2", answers, other_info=reasons))
    pairs = read_lewidi(path)
    assert pairs.emotions == [["entailment", "neutral"]]
    second = pairs.table["annotations"][0].as_py()[1]
    assert (second["emotions"], second["explanations"]) == (["entailment", "neutral"], ["rain is wet", "perhaps"])


def test_lewidi_scales_are_refused_but_texts_read(tmp_path) -> None:
    texts = {"Question1": "Who?", "Question2": "Which?"}
    path = lewidi(tmp_path, item("paraphrase detection", texts, "Ann1,Ann2", {"Ann1": "-4", "Ann2": "1"}))
    with pytest.raises(EmocapError, match="numbers on a scale, from -4 to -4, expected words or 0 and 1"):
        read_lewidi(path)
    assert read_lewidi(path, None, ReadOptions(labels=False)).captions == ["Who? Which?"]


def test_lewidi_of_2023_and_unlabelled_items(tmp_path) -> None:
    old = item("hate speech detection", "Go away", "A1,A2", "0,1", split="train")
    pairs = read_lewidi(lewidi(tmp_path, old, item("hate speech detection", "Hi", "A1", {})))
    assert pairs.emotions == [["hate speech"]]
    assert [fault.reason for fault in pairs.rejected] == ["has no annotations"]
    unlabelled = read_lewidi(lewidi(tmp_path, item("irony detection", "Hi", "", {})))
    assert unlabelled.emotions == [None]


def test_lewidi_rejects_answers_of_unknown_annotators(tmp_path) -> None:
    task = "irony detection"
    path = lewidi(
        tmp_path,
        item(task, "a", "A1,A2,A3", "1,0"),
        item(task, "b", "A1,A2", "0,1,1"),
        item(task, "c", "A1,A2", "0,"),
        item(task, "d", "A1,,A3", "0,1,0"),
    )
    pairs = read_lewidi(path)
    assert [fault.reason for fault in pairs.rejected] == [
        "has 3 annotators and 2 answers, expected one answer of each",
        "has 2 annotators and 3 answers, expected one answer of each",
        "has an empty answer in '0,'",
    ]
    annotations = pairs.table["annotations"][0].as_py()
    assert [(one["annotator"], one["emotions"]) for one in annotations] == [("A1", []), (None, ["irony"]), ("A3", [])]
    assert len(read_lewidi(path, None, ReadOptions(labels=False))) == 4


def test_lewidi_joins_answers_of_one_annotator(tmp_path) -> None:
    path = lewidi(tmp_path, item("emotion naming", "a", "A1,A2,A1", "joy,fear,awe"))
    pairs = read_lewidi(path)
    assert pairs.emotions == [["awe", "fear", "joy"]]
    annotations = pairs.table["annotations"][0].as_py()
    assert [(one["annotator"], one["emotions"]) for one in annotations] == [("A1", ["joy", "awe"]), ("A2", ["fear"])]


def test_lewidi_annotators_are_no_items(tmp_path) -> None:
    (tmp_path / "MP_annotators_meta.json").write_text('{"0": {"Age": 19.0}}')
    assert guess_format(tmp_path / "MP_annotators_meta.json") == "lewidi"
    with pytest.raises(EmocapError, match="contains no items with a text; give TASK_train.json"):
        read_lewidi(tmp_path / "MP_annotators_meta.json")


NEMO = """item,shown,headline,image,consensus_set,answer,emotion,intensity,reason
0,image,Man accused,10477.jpg,CE,0,disgust,4,I feel so
0,image,Man accused,10477.jpg,CE,1,fear,2,looks violent
0,both,Man accused,10477.jpg,CE,0,anger,5,"unfair, sad"
0,headline,Man accused,10477.jpg,CE,0,sadness,1,
1,both,School opens,5.jpg,CE,0,,1,
"""


def test_nemo_answers_are_annotators_of_what_was_shown(tmp_path) -> None:
    path = tmp_path / "nemo.csv"
    path.write_text(NEMO)
    assert guess_format(path) == "nemo-plus"
    pairs = read_corpus("nemo-plus", path)
    assert pairs.pair_ids == ["0:image", "0:both", "0:headline"]
    assert pairs.images == ["10477.jpg", "10477.jpg", ""]
    assert pairs.emotions == [["disgust", "fear"], ["anger"], ["sadness"]]
    assert pairs.groups == ["0", "0", "0"]
    assert pairs.table["annotations"][1].as_py()[0]["explanations"] == ["unfair, sad"]
    assert pairs.notes == ("2 of 5 answers are of people who saw the image without its headline",)
    assert [fault.reason for fault in pairs.rejected] == ["emotion is empty"]
    assert len(read_nemo(path, None, ReadOptions(labels=False))) == 4


def test_nemo_answers_are_chosen_by_what_was_shown(tmp_path) -> None:
    path, options = tmp_path / "nemo.csv", ReadOptions(where={"shown": ["headline", "both"]})
    path.write_text(NEMO)
    assert guess_format(path, options) == "nemo-plus"
    pairs = read_corpus("nemo-plus", path, None, options)
    assert (pairs.pair_ids, pairs.n_rows) == (["0:both", "0:headline"], 5)
    assert pairs.notes == ("2 of 5 rows are left out: only where shown is both or headline",)
    with pytest.raises(EmocapError, match="columns, where and label settings are for tables"):
        read_corpus("nemo-plus", path, None, ReadOptions({"caption": "headline"}, where={"shown": ["both"]}))


ARTEMIS = """art_style,painting,emotion,utterance,repetition
Post_Impressionism,vincent-van-gogh_portrait-of-madame,something else,"She seems very happy, as a Mona Lisa",10
Post_Impressionism,vincent-van-gogh_portrait-of-madame,sadness,This woman has knotted hands,10
Expressionism,wassily-kandinsky_two-riders,awe,The riders glow,10
Expressionism,wassily-kandinsky_two-riders,,nothing,10
"""


def test_artemis_rows_are_pairs_of_a_painting(tmp_path) -> None:
    path = tmp_path / "artemis_dataset_release_v0.csv"
    path.write_text(ARTEMIS)
    assert guess_format(path) == "artemis"
    pairs = read_corpus("artemis", path)
    assert pairs.distinct_images() == [
        "Post_Impressionism/vincent-van-gogh_portrait-of-madame.jpg",
        "Expressionism/wassily-kandinsky_two-riders.jpg",
    ]
    assert pairs.emotions == [["something else"], ["sadness"], ["awe"]]
    assert pairs.pair_ids[1] == "Post_Impressionism/vincent-van-gogh_portrait-of-madame#2"
    assert [fault.reason for fault in pairs.rejected] == ["emotion is empty"]
    assert len(read_artemis(path, None, ReadOptions(labels=False))) == 4


def test_artemis_preprocessed_keeps_its_split(tmp_path) -> None:
    path = tmp_path / "artemis_preprocessed.csv"
    path.write_text("art_style,painting,emotion,utterance,split\nCubism,a,awe,Nice,val\nCubism,b,awe,Oh,rest\n")
    pairs = read_corpus(guess_format(path), path)
    assert pairs.splits == ["validation", None]
    assert "unknown split, such as 'rest'" in pairs.notes[0]


@pytest.mark.real_data
def test_reads_real_lewidi(real_data) -> None:
    folder = real_data / "lewidi"
    irony = read_corpus(guess_format(folder / "MP_dev.json"), folder / "MP_dev.json")
    answers = [one for row in irony.table["annotations"].to_pylist() for one in row]
    assert (len(irony), len(answers), len({one["annotator"] for one in answers})) == (489, 2310, 74)
    assert Counter(tuple(one["emotions"]) for one in answers) == {(): 1556, ("irony",): 754}
    inference = read_lewidi(folder / "VariErrNLI_train.json")
    assert (len(inference), set(inference.splits)) == (388, {"train"})
    assert {label for named in inference.emotions for label in named or ()} == {
        "contradiction",
        "entailment",
        "neutral",
    }
    with pytest.raises(EmocapError, match="from -5 to 5"):
        read_lewidi(folder / "Paraphrase_dev.json")


@pytest.mark.real_data
def test_reads_real_nemo(real_data) -> None:
    path = real_data / "reader-emotions" / "nemo-plus.csv.gz"
    pairs = read_corpus(guess_format(path), path)
    annotations = pairs.table["annotations"].to_pylist()
    assert (len(pairs), len(set(pairs.groups)), sum(map(len, annotations))) == (1763, 1029, 17_630)
    assert len(pairs.rejected) == 0
    assert Counter(one["emotions"][0] for row in annotations for one in row)["sadness"] == 5042
