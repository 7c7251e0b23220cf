"""The official JSON and the flattened CSV of Socratis."""

import pytest

from emocap.corpora.formats.socratis import read_socratis_csv, read_socratis_json
from emocap.corpora.options import ReadOptions
from emocap.emotions import build_vocabulary
from emocap.errors import EmocapError


def test_annotators_stay_separate_and_words_are_cleaned(socratis) -> None:
    pairs = read_socratis_json(socratis())
    assert pairs.pair_ids == ["P1", "P2"]
    assert pairs.emotions == [["happy", "sad"], []]
    first = pairs.table["annotations"][0].as_py()
    assert [a["emotions"] for a in first] == [["Happy", '"sad"', "very sad"], ["happy", "None", ""]]
    assert first[0]["explanations"][0] == "because it waits"
    assert (first[0]["age"], first[0]["education"], first[0]["ethnicity"]) == ("55-64", None, ["White"])
    assert (first[1]["age"], first[1]["ethnicity"]) == (None, None)
    assert pairs.open_vocabulary


def test_invalid_annotator_is_rejected_without_its_pair(socratis) -> None:
    pairs = read_socratis_json(
        socratis(
            {
                "P1": [["a.jpg", "Text.", "happy", [], {}], ["a.jpg", "Text.", ["sad"], [], {}]],
                "P2": "nothing",
                "P3": [["c.jpg", "  ", ["sad"], [], {}]],
                "P4": [["../d.jpg", "Text.", ["sad"], [], {}]],
            }
        )
    )
    assert pairs.emotions == [["sad"]]
    assert [(q.where.split(": ")[1], q.reason) for q in pairs.rejected] == [
        ("pair P1, annotator 1", "emotions are str, expected a list of words"),
        ("pair P2", "is not a list of annotators"),
        ("pair P3", "caption is empty"),
        ("pair P4", "image '../d.jpg' points outside the image folder; name it relative to that folder"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"P1": [', "not valid JSON at line 1"),
        ("[]", "contains list, expected an object of pair ids"),
        ("{}", "contains no usable pair"),
        ('{"P1": 3}', "contains no usable pair; the first of 1 rejected rows: is not a list of annotators"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_damaged_file_is_one_line(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "socratis.json"
    path.write_text(text)
    with pytest.raises(EmocapError, match=message) as error:
        read_socratis_json(path)
    assert "\n" not in str(error.value)


def test_csv_lists_are_never_executed(tmp_path) -> None:
    path = tmp_path / "cleaned.csv"
    path.write_text(
        "image_name,caption,emotions\r\n"
        "a.jpg,\"A dog, waiting\",\"['happy', 'sad']\"\r\n"
        "b.jpg,A cat,happy\r\n"
        "c.jpg,A cat,\"__import__('os').system('true')\"\r\n"
        "d.jpg,,['sad']\r\n"
        "e.jpg,too,many,fields\r\n"
    )
    pairs = read_socratis_csv(path)
    assert pairs.captions == ["A dog, waiting", "A cat"]
    assert pairs.emotions == [["happy", "sad"], ["happy"]]
    reasons = [q.reason for q in pairs.rejected]
    assert reasons == [
        "has 4 fields, expected 3",
        "emotions \"__import__('os').system('true')\" contain \"__import__('os').system('true')\", expected words, "
        "such as joy|calm",
        "caption is empty",
    ]
    assert pairs.rejected[1].where == f"{path}: line 4"


def test_deeply_nested_brackets_reject_one_row(tmp_path) -> None:
    path = tmp_path / "bomb.csv"
    path.write_text(f"image_name,caption,emotions\na.jpg,x,{'[' * 9000}\nb.jpg,y,['sad']\n")
    pairs = read_socratis_csv(path)
    assert (len(pairs), len(pairs.rejected)) == (1, 1)


@pytest.mark.real_data
def test_reads_real_csv(real_data) -> None:
    pairs = read_socratis_csv(real_data / "socratis" / "cleaned_data.csv")
    assert (len(pairs), len(pairs.rejected)) == (1675, 0)
    vocabulary = build_vocabulary(pairs.emotions)
    assert len(vocabulary) == 29
    assert vocabulary.labels[:2] == ("happy", "sad")


def test_mismatched_annotators_and_lone_surrogates_are_rejected(socratis) -> None:
    person = {"age": "18-24", "ethnicity": [["White", "false"], ["Asian", "true"]]}
    pairs = read_socratis_json(
        socratis(
            {
                "P1": [
                    [None, "Text.", ["awe"], [], {}],
                    ["a.jpg", "Text.", ["sad"], ["\ud800", "fine"], person],
                    ["b.jpg", "Other.", ["happy"], [], {}],
                    ["a.jpg", "Text.", ["\ud800"], [], {}],
                ]
            }
        )
    )
    assert pairs.emotions == [["sad"]]
    annotation = pairs.table["annotations"][0].as_py()[0]
    assert (annotation["explanations"], annotation["ethnicity"]) == ([None, "fine"], ["Asian"])
    assert [q.where.split(": ")[1] for q in pairs.rejected] == [f"pair P1, annotator {n}" for n in (1, 3, 4)]


@pytest.mark.parametrize("text", ["{[]: 1}", "-" * 9000 + "1", "['a', 1]", "9" * 9000, "['x'" + "]" * 20_000])
def test_hostile_list_rejects_one_row(tmp_path, text: str) -> None:
    path = tmp_path / "c.csv"
    path.write_text(f'image_name,caption,emotions\na.jpg,x,"{text}"\nb.jpg,y,"[\'sad\']"\n')
    pairs = read_socratis_csv(path)
    assert (pairs.captions, [q.where for q in pairs.rejected]) == (["y"], [f"{path}: line 2"])


def test_labels_are_not_read_for_prediction(socratis) -> None:
    entries = {"P1": [["a.jpg", "Text.", "no list", [], {}]], "P2": [["b.jpg", "More."], ["b.jpg", "More.", ["sad"]]]}
    pairs = read_socratis_json(socratis(entries), None, ReadOptions(labels=False))
    assert (pairs.captions, pairs.emotions, pairs.rejected) == (["Text.", "More."], [None, None], ())
