"""Karpathy's JSON and SentiCap's, which has the same layout and a sentiment per sentence."""

import json
from pathlib import Path

import pytest

from emocap.corpora.formats.karpathy import read_karpathy, read_senticap
from emocap.corpora.options import ReadOptions
from emocap.corpora.read import guess_format, read_corpus
from emocap.errors import EmocapError


def sentence(raw: str, sentid: int | None = None, **more) -> dict:
    own = {} if sentid is None else {"imgid": 0, "sentid": sentid}
    return {"tokens": raw.lower().split(), "raw": raw} | own | more


def written(folder: Path, images: list, name: str = "dataset_coco.json") -> Path:
    (folder / name).write_text(json.dumps({"images": images, "dataset": "coco"}))
    return folder / name


@pytest.fixture
def coco(tmp_path) -> Path:
    images = [
        {
            "filepath": "val2014",
            "sentids": [770337, 771687],
            "filename": "COCO_val2014_000000391895.jpg",
            "imgid": 0,
            "split": "restval",
            "sentences": [sentence("A man with a red helmet.", 770337), sentence("Man riding a motor bike.", 771687)],
            "cocoid": 391895,
        },
        {
            "filepath": "train2014",
            "filename": "b.jpg",
            "split": "val",
            "sentences": [sentence("A cat.", 5), {"raw": ""}],
        },
        {"filepath": "train2014", "filename": "c.jpg", "split": "test", "sentences": [{"tokens": ["a", "dog"]}]},
        {"filename": 3},
    ]
    return written(tmp_path, images)


def test_sentences_are_pairs_with_their_split(coco) -> None:
    assert guess_format(coco) == "karpathy"
    pairs = read_corpus("karpathy", coco)
    assert pairs.pair_ids == ["770337", "771687", "5", "dataset_coco:2:0"]
    assert pairs.captions == ["A man with a red helmet.", "Man riding a motor bike.", "A cat.", "a dog"]
    assert pairs.splits == ["train", "train", "validation", "test"]
    assert pairs.emotions == [None] * 4
    assert [fault.reason for fault in pairs.rejected] == ["caption is empty", "has no filename and list of sentences"]


def test_repeated_sentids_are_numbered(tmp_path) -> None:
    images = [
        {"filename": "a.jpg", "split": "train", "sentences": [sentence("A cat.", 0), sentence("A dog.", 5)]},
        {"filename": "b.jpg", "split": "test", "sentences": [sentence("A lake.", 0), sentence("A sea."), "text"]},
        {"filename": "c.jpg", "sentences": None},
    ]
    pairs = read_karpathy(written(tmp_path, images))
    assert pairs.pair_ids == ["0:0:0", "5", "0:1:0", "dataset_coco:1:1"]
    assert pairs.captions == ["A cat.", "A dog.", "A lake.", "A sea."]
    assert pairs.notes == ("2 sentences share their sentid with another; their place in the file is added to it",)
    assert len(pairs.rejected) == 2


def test_filepath_counts_if_the_folder_has_it(coco, tmp_path) -> None:
    (tmp_path / "images" / "val2014").mkdir(parents=True)
    names = read_karpathy(coco, tmp_path / "images").distinct_images()
    assert names == ["val2014/COCO_val2014_000000391895.jpg", "b.jpg", "c.jpg"]
    assert read_karpathy(coco).distinct_images()[0] == "COCO_val2014_000000391895.jpg"


def test_senticap_sentiments_are_labels(tmp_path) -> None:
    sentences = [
        sentence("A nice dog.", sentiment=1, word_sentiment=[0, 1, 0]),
        sentence("A sad dog.", sentiment=0, word_sentiment=[0, 1, 0]),
        sentence("A dog.", sentiment=2),
    ]
    images = [{"filename": "COCO_val2014_1.jpg", "imgid": 0, "split": "val", "sentences": sentences}]
    path = written(tmp_path, images, "senticap_dataset.json")
    assert guess_format(path) == "senticap"
    pairs = read_corpus("senticap", path)
    assert pairs.emotions == [["positive"], ["negative"]]
    assert set(pairs.splits) == {"validation"}
    assert pairs.rejected[0].reason == "sentiment is 2, expected 1 (positive) or 0 (negative)"
    assert read_senticap(path, None, ReadOptions(labels=False)).emotions == [None] * 3


def test_other_layout_is_one_line(tmp_path) -> None:
    (tmp_path / "a.json").write_text('{"images": {}}')
    with pytest.raises(EmocapError, match=r"a\.json: expected an object with the list 'images'"):
        read_karpathy(tmp_path / "a.json")
