"""A corpus in numbers: its emotions, annotators, parts, and the lines that a log shows."""

import json

import pytest

from emocap.corpora.read import read_corpus
from emocap.corpora.summary import Spread, annotators_of, emotions_of, parts_of, sample_rows, summary_lines


@pytest.fixture
def corpus(tmp_path):
    """Reads a table of these rows."""

    def read(*rows: dict):
        path = tmp_path / "pairs.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return read_corpus("table", path)

    return read


def test_counts_emotions_by_pairs(corpus) -> None:
    pairs = corpus(
        {"caption": "a", "emotions": ["joy", "awe"]},
        {"caption": "b", "emotions": ["joy", "joy"]},
        {"caption": "c", "emotions": []},
        {"caption": "d", "emotions": ["Joy"]},
    )
    emotions = emotions_of(pairs)
    assert list(emotions.counts.items()) == [("joy", 2), ("Joy", 1), ("awe", 1)]
    assert emotions.per_pair == Spread(0, 1.0, 2)
    assert (emotions.without_emotion, emotions.unlabelled, emotions.rare) == (1, 0, 3)
    assert emotions.differ_in_case == [["joy", "Joy"]]


def test_ten_pairs_are_not_rare(corpus) -> None:
    rows = [{"caption": f"c{i}", "emotions": ["joy"] if i < 10 else ["awe"]} for i in range(19)]
    emotions = emotions_of(corpus(*rows))
    assert (emotions.counts, emotions.rare) == ({"joy": 10, "awe": 9}, 1)


def test_unlabelled_corpus_has_no_emotions(corpus) -> None:
    pairs = corpus({"caption": "a"}, {"caption": "b"})
    assert (emotions_of(pairs), annotators_of(pairs), parts_of(pairs)) == (None, None, {})


def test_counts_people_and_ratings(corpus) -> None:
    rated = [("a", "1", "joy"), ("a", "2", "awe"), ("b", "1", ""), ("a", "3", "joy")]
    annotators = annotators_of(corpus(*({"caption": c, "annotator": a, "emotions": e} for c, a, e in rated)))
    assert (annotators.people, annotators.ratings, annotators.pairs) == (3, 4, 2)
    assert annotators.per_pair == Spread(1, 2.0, 3)


def test_annotators_without_names_are_counted(socratis) -> None:
    annotators = annotators_of(read_corpus("socratis", socratis()))
    assert (annotators.people, annotators.ratings, annotators.per_pair) == (0, 3, Spread(1, 1.5, 2))


def test_counts_parts_and_pairs_in_none(corpus) -> None:
    splits = ("train", "val", "train", None)
    pairs = corpus(*({"caption": f"c{i}", "split": split} for i, split in enumerate(splits)))
    assert list(parts_of(pairs).items()) == [("train", 2), ("validation", 1), ("none", 1)]


def test_lines_say_all_of_it(corpus) -> None:
    pairs = corpus(
        {"caption": "a", "image": "a.jpg", "emotions": "joy", "annotator": "x", "split": "train"},
        {"caption": "a", "image": "a.jpg", "emotions": "awe", "annotator": "y", "split": "train"},
        {"caption": "b", "emotions": "", "annotator": "x", "split": "test"},
        {"caption": "", "emotions": "", "annotator": "x", "split": "test"},
    )
    assert summary_lines(pairs) == [
        "2 pairs, 1 images, 1 rejected rows, 1 pairs without an image",
        "emotions: awe 1, joy 1; 0 to 2, mean 1.00 per pair",
        "1 pairs name no emotion",
        "2 annotators: 3 ratings; 1 to 2, mean 1.50 per pair",
        "its own split: test 1, train 1",
        "note: 3 rows are the ratings of 2 pairs",
    ]


def test_lines_are_few_and_short(corpus) -> None:
    rows = [{"caption": f"c{i}", "emotions": [f"{'very ' * 15}{i}", f"zeal {i}"]} for i in range(300)]
    lines = summary_lines(corpus(*rows))
    assert len(lines) <= 6
    assert max(map(len, lines)) <= 200
    assert lines[1].endswith("...")


@pytest.mark.parametrize("rows", [[{"caption": "a"}], [{"caption": "a", "emotions": ""}]])
def test_lines_say_that_no_emotion_is_named(corpus, rows) -> None:
    assert summary_lines(corpus(*rows))[1].startswith("no emotions" if "emotions" not in rows[0] else "emotions: none")


def test_sample_is_the_same_again() -> None:
    assert sample_rows(3, 5).tolist() == [0, 1, 2]
    drawn = sample_rows(1000, 5).tolist()
    assert drawn == sorted(set(drawn)) == sample_rows(1000, 5).tolist()
    assert len(drawn) == 5
    assert drawn != [0, 1, 2, 3, 4]
