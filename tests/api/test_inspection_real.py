"""`inspect` on every file of the real data: counts that its descriptions state, or that were taken from the raw files.

The five pictures of `twitter` that occur twice are one pair of identical files; the others differ in compression.
"""

import json

import pytest

from emocap import EmocapError
from emocap.api.inspection import inspect_corpus
from emocap.corpora.options import ReadOptions

SENTIMENTS = {"positive": 990, "negative": 498, "neutral": 167}
# File: expected values. `n_emotions` is their number, `emotions` some of their counts, `images` are named ones.
CORPORA = {
    "captions-unlabelled/conceptual-captions.csv.gz": {
        "pairs": 19_843,
        "images": 0,
        "parts": {"validation": 15_447, "train": 4_396},
    },
    "captions-unlabelled/flickr30k.csv.gz": {"pairs": 144_960, "images": 29_000},
    "captions-unlabelled/news.csv.gz": {"format": "news-texts", "pairs": 108_499, "images": 0},
    "coco-mini/annotations/captions_train2017.json": {
        "format": "coco",
        "pairs": 400,
        "images": 80,
        "folder": "coco-mini/train2017",
        "found": 80,
    },
    "coco-mini/annotations/captions_val2017.json": {
        "format": "coco",
        "pairs": 795,
        "images": 159,
        "folder": "coco-mini/val2017",
        "found": 159,
    },
    "extra/senticap.csv": {
        "pairs": 8_869,
        "images": 2_225,
        "emotions": {"positive": 4_892, "negative": 3_977},
        "n_emotions": 2,
        "parts": {"train": 4_419, "test": 3_528, "validation": 922},
    },
    "flickr8k/captions.txt": {
        "format": "flickr8k",
        "pairs": 11_825,
        "images": 2_365,
        "folder": "flickr8k/images",
        "found": 2_365,
    },
    "flickr8k/expressions.csv": {
        "format": "flickr8k-expressions",
        "pairs": 9_145,
        "images": 1_829,
        "n_emotions": 7,
        "folder": "flickr8k/images",
        "found": 1_829,
    },
    "flickrstyle/captions.csv": {
        "pairs": 12_000,
        "images": 6_000,
        "emotions": {"humorous": 6_000, "romantic": 6_000},
        "folder": "flickrstyle/images",
        "found": 4_230,
    },
    "flickrstyle/factual.csv": {
        "pairs": 30_000,
        "images": 6_000,
        "folder": "flickrstyle/images",
        "found": 4_230,
    },
    "goemotions/train.tsv": {
        "format": "goemotions",
        "pairs": 43_410,
        "images": 0,
        "n_emotions": 28,
        "emotions": {"neutral": 14_219, "admiration": 4_130},
    },
    "goemotions/dev.tsv": {"format": "goemotions", "pairs": 5_426, "images": 0, "n_emotions": 28},
    "goemotions/test.tsv": {"format": "goemotions", "pairs": 5_427, "images": 0, "n_emotions": 28},
    "goemotions": {
        "format": "goemotions",
        "pairs": 54_263,
        "images": 0,
        "n_emotions": 28,
        "parts": {"train": 43_410, "test": 5_427, "validation": 5_426},
    },
    "lewidi/MP_dev.json": {
        "format": "lewidi",
        "pairs": 489,
        "images": 0,
        "people": 74,
        "ratings": 2_310,
        "emotions": {"irony": 352},
        "n_emotions": 1,
        "without": 137,
        "parts": {"validation": 489},
    },
    "lewidi/VariErrNLI_train.json": {
        "format": "lewidi",
        "pairs": 388,
        "images": 0,
        "people": 4,
        "ratings": 1_443,
        "n_emotions": 3,
        "parts": {"train": 388},
    },
    "lewidi/VariErrNLI_dev.json": {
        "format": "lewidi",
        "pairs": 50,
        "images": 0,
        "people": 4,
        "n_emotions": 3,
        "parts": {"validation": 50},
    },
    "oasis/oasis.csv": {"pairs": 376, "images": 376, "groups": 114, "folder": "oasis/images", "found": 376},
    "posts/posts.csv": {
        "format": "table",
        "pairs": 1_655,
        "images": 1_655,
        "emotions": SENTIMENTS,
        "n_emotions": 3,
        "folder": "posts/images",
        "found": 1_655,
        "copies": 4,
    },
    "reader-emotions/emobank-readers.csv.gz": {
        "format": "emobank",
        "pairs": 10_323,
        "images": 0,
        "parts": {"train": 8_060, "test": 1_000, "validation": 1_000, "none": 263},
        "scales": {"valence": 10_323, "arousal": 10_323, "dominance": 10_323},
    },
    "reader-emotions/goodnewseveryone.csv.gz": {
        "pairs": 4_998,
        "images": 0,
        "emotions": {"annoyance": 975, "sadness": 165, "joy": 150},
        "n_emotions": 15,
        "without": 3_264,  # described as 3,265; one headline of them was removed from the file
    },
    "reader-emotions/nemo-plus.csv.gz": {
        "rows": 17_630,
        "pairs": 1_763,
        "images": 899,
        "pairs_without_image": 537,
        "n_emotions": 8,
        "people": 0,
        "ratings": 17_630,
        "groups": 1_029,
    },
    "reader-emotions/semeval2007-headlines.csv.gz": {
        "pairs": 1_250,
        "images": 0,
        "n_emotions": 6,
        "emotions": {"joy": 148, "sadness": 145, "fear": 124, "surprise": 50, "anger": 41, "disgust": 21},
    },
    "socratis/cleaned_data.csv": {
        "format": "socratis-csv",
        "pairs": 1_675,
        "images": 1_675,
        "n_emotions": 29,
        "emotions": {"happy": 1_113, "sad": 581, "excited": 515},
        "per_pair": {"min": 1, "max": 10},
    },
}
# Tables whose columns must be named, with what is then expected.
NAMED = {
    "extra/emotion6/emotion6.csv": (
        {"caption": "keyword", "emotions": ["anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral"]},
        {"pairs": 240, "images": 240, "folder": "extra/emotion6/images", "found": 240},
    ),
    "reader-emotions/depechemood.csv.gz": (
        {"caption": "lemma", "emotions": ["afraid", "amused", "angry", "annoyed", "dont_care", "happy", "sad"]},
        {"pairs": 37_771, "images": 0},
    ),
    "twitter/twitter.csv": (
        {"caption": "image"},  # it has no captions
        {"pairs": 753, "images": 753, "n_emotions": 2, "folder": "twitter/images", "found": 753, "copies": 1},
    ),
}
# Files that are no pairs, with a part of what is said of them.
REFUSED = {
    "frcnn-vg/keys.json": "expected a list of objects",
    "goemotions/emotions.txt": "has no column 'caption', found admiration",
    "lewidi/MP_annotators_meta.json": "contains no items with a text",
    "lewidi/Paraphrase_annotators_meta.json": "contains no items with a text",
    "lewidi/VariErrNLI_annotators_meta.json": "contains no items with a text",
    "lewidi/Paraphrase_train.json": "numbers on a scale",
    "lewidi/Paraphrase_dev.json": "numbers on a scale",
    **dict.fromkeys(NAMED, "has no column 'caption'"),
    "reader-emotions/depechemood.csv.gz": "is a lexicon of words with their emotions, not a corpus",
}


def check(found, expected: dict, real_data) -> None:
    images, emotions = found.images, found.emotions
    actual = {
        "format": found.format,
        "rows": found.rows,
        "pairs": found.pairs,
        "images": images.named,
        "pairs_without_image": images.pairs_without,
        "copies": images.copies or 0,
        "found": images.found,
        "folder": images.folder and images.folder.removeprefix(f"{real_data}/"),
        "emotions": emotions and emotions.counts,
        "n_emotions": emotions and len(emotions.counts),
        "without": emotions and emotions.without_emotion,
        "per_pair": emotions and {"min": emotions.per_pair.min, "max": emotions.per_pair.max},
        "people": found.annotators and found.annotators.people,
        "ratings": found.annotators and found.annotators.ratings,
        "groups": found.groups and found.groups.count,
        "parts": found.split and found.split.parts,
        "scales": {name: rating.pairs for name, rating in found.ratings.items()},
    }
    defaults = {"copies": 0, "folder": None, "found": None, "groups": None, "people": None, "parts": None}
    expected = {**defaults, "rows": actual["rows"], **expected}
    if "emotions" in expected:
        actual["emotions"] = {label: actual["emotions"].get(label) for label in expected["emotions"]}
    elif "n_emotions" not in expected:
        expected["emotions"] = None
    assert {name: actual[name] for name in expected} == expected
    assert found.rejected == []
    json.dumps(found.to_json())


@pytest.mark.real_data
@pytest.mark.parametrize("file", CORPORA)
def test_understands_published_files(file: str, real_data) -> None:
    expected = CORPORA[file]
    images = real_data / expected["folder"] if "folder" in expected else None
    check(inspect_corpus(real_data / file, images=images), expected, real_data)


@pytest.mark.real_data
@pytest.mark.parametrize("file", NAMED)
def test_understands_tables_whose_columns_are_named(file: str, real_data) -> None:
    columns, expected = NAMED[file]
    images = real_data / expected["folder"] if "folder" in expected else None
    found = inspect_corpus(real_data / file, images=images, options=ReadOptions(columns))
    if "emotions" in columns:
        expected = {**expected, "n_emotions": found.emotions and len(found.emotions.counts)}
    if found.split is not None:
        expected = {**expected, "parts": found.split.parts}
    check(found, expected, real_data)


@pytest.mark.real_data
@pytest.mark.parametrize("file", REFUSED)
def test_says_why_others_are_no_pairs(file: str, real_data) -> None:
    with pytest.raises(EmocapError, match=REFUSED[file]) as error:
        inspect_corpus(real_data / file)
    assert "\n" not in str(error.value)


@pytest.mark.real_data
def test_every_file_of_the_real_data_is_expected(real_data) -> None:
    other = {".jpg", ".jpeg", ".png", ".md", ".npz", ".py"}
    files = {file for file in real_data.rglob("*") if file.is_file() and file.suffix.lower() not in other}
    assert {str(file.relative_to(real_data)) for file in files} == {*CORPORA, *REFUSED} - {"goemotions"}
