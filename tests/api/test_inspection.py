"""What was understood of a corpus: hand-made files of several formats, and every file of the real data."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from emocap import EmocapError
from emocap.api.inspection import Groups, Split, inspect_corpus
from emocap.corpora.options import ReadOptions
from emocap.corpora.summary import Spread


def write_image(path: Path, color: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (color, 0, 0)).save(path)


def test_table_with_images_and_faults(tmp_path) -> None:
    for name, color in (("a.png", 1), ("b.png", 2), ("c.png", 1)):
        write_image(tmp_path / "pictures" / name, color)
    path = tmp_path / "pairs.csv"
    rows = ["a.png,A dog waits.,joy;awe,1", "b.png,the sea,,2", "c.png,a  DOG waits.,joy,3", ",rain,sad,4"]
    rows += ["gone.png,a boat,sad,5", "b.png,,joy,6", "b.png,,joy,7", "../x.png,night,joy,8"]
    path.write_text("\n".join(["image,caption,emotions,number", *rows]) + "\n")
    found = inspect_corpus(path, images=tmp_path / "pictures")
    assert (found.format, found.guessed, found.rows, found.pairs, found.n_rejected) == ("table", True, 8, 5, 3)
    assert [(kind.count, kind.where, kind.reason) for kind in found.rejected] == [
        (2, f"{path}: line 7", "caption is empty"),
        (1, f"{path}: line 9", "image '../x.png' points outside the image folder; name it relative to that folder"),
    ]
    assert found.columns == {"image": ["image"], "caption": ["caption"], "emotions": ["emotions"]}
    assert found.unused_columns == ["number"]
    images = found.images
    assert (images.named, images.found, images.missing, images.first_missing) == (4, 3, 1, "gone.png")
    assert (images.copies, images.first_copy, images.pairs_without) == (1, ("c.png", "a.png"), 1)
    captions = found.captions
    assert (captions.min_words, captions.median_words, captions.max_words) == (1, 2, 3)
    assert (captions.repeated, captions.most_repeated) == (2, ("A dog waits.", 2))
    assert found.emotions.counts == {"joy": 2, "sad": 2, "awe": 1}
    assert (found.emotions.without_emotion, found.emotions.per_pair) == (1, Spread(0, 1.0, 2))
    assert (found.annotators, found.groups, found.split) == (None, None, None)


def test_json_of_it_can_be_written_and_read(tmp_path) -> None:
    path = tmp_path / "pairs.jsonl"
    row = {"caption": "a storm", "emotions": ["awe"], "annotator": "x", "group": "g", "split": "dev"}
    path.write_text(json.dumps(row) + "\nnot JSON\n")
    values = json.loads(json.dumps(inspect_corpus(path).to_json()))
    assert values["path"] == str(path)
    assert values["emotions"]["per_pair"] == values["annotators"]["per_pair"] == {"min": 1, "mean": 1.0, "max": 1}
    assert values["rejected"] == [{"count": 1, "where": f"{path}: line 2", "reason": "is not JSON"}]
    assert values["split"]["parts"] == {"validation": 1}
    assert values["groups"] == {"count": 1, "largest": 1, "pairs_without": 0}
    assert values["examples"] == [{"pair_id": "pairs:1", "image": "", "caption": "a storm", "emotions": ["awe"]}]


def test_columns_under_other_names(tmp_path) -> None:
    path = tmp_path / "metadata.jsonl"
    path.write_text(json.dumps({"file_name": "a.jpg", "text": "the sea", "joy": 0.2, "awe": 0.7, "size": 3}))
    with pytest.raises(EmocapError, match="--columns image=file_name,caption=text"):
        inspect_corpus(path)
    columns = {"image": "file_name", "caption": "text", "emotions": ["joy", "awe"]}
    found = inspect_corpus(path, options=ReadOptions(columns))
    assert found.columns == {"image": ["file_name"], "caption": ["text"], "emotions": ["joy", "awe"]}
    assert (found.unused_columns, found.emotions.counts) == (["size"], {"awe": 1})


def test_columns_of_0_and_1_are_emotions(tmp_path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("caption\tjoy\tawe\tyear\nthe sea\t1\t0\t2001\nrain\t0\t1\t2002\n")
    found = inspect_corpus(path)
    assert found.columns == {"caption": ["caption"], "emotions": ["joy", "awe"]}
    assert found.unused_columns == ["year"]


def test_shared_content_of_the_corpus_own_split(tmp_path) -> None:
    for name, color in (("a.png", 1), ("copy.png", 1), ("b.png", 2), ("c.png", 3)):
        write_image(tmp_path / name, color)
    pairs = [
        ("a.png", "one", "train", "g1"),
        ("copy.png", "two", "test", "g2"),
        ("b.png", "three", "train", "g3"),
        ("c.png", "Three ", "validation", "g4"),
        ("b.png", "four", "train", "g5"),
        ("", "five", "train", "g6"),
        ("", "six", "test", "g6"),
        ("", "seven", "test", ""),
        ("a.png", "eight", "", ""),
    ]
    path = tmp_path / "pairs.csv"
    path.write_text("image,caption,split,group\n" + "\n".join(map(",".join, pairs)) + "\n")
    found = inspect_corpus(path, images=tmp_path)
    parts = {"train": 4, "test": 3, "none": 1, "validation": 1}
    assert found.split == Split(parts, shared_image=2, shared_caption=2, shared_group=2, shared=6)
    assert found.groups == Groups(count=6, largest=2, pairs_without=2)


def test_ratings_of_annotators_are_one_pair(tmp_path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("caption,rater,emotions\nsea,1,joy\nsea,2,awe\nrain,1,\nsea,3,joy\n")
    found = inspect_corpus(path)
    assert (found.rows, found.pairs, found.annotators.people, found.annotators.ratings) == (4, 2, 3, 4)
    assert found.notes == ["4 rows are the ratings of 2 pairs"]


def test_coco_and_parquet_are_understood(tmp_path) -> None:
    path = tmp_path / "captions.json"
    images = [{"id": 7, "file_name": "a.jpg"}]
    annotations = [{"id": 1, "image_id": 7, "caption": "a dog"}, {"id": 2, "image_id": 8, "caption": "a cat"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    found = inspect_corpus(path)
    assert (found.format, found.rows, found.pairs, found.n_rejected, found.columns) == ("coco", 2, 1, 1, {})
    pq.write_table(pa.table({"caption": ["a", "b"], "emotions": [["joy"], None]}), tmp_path / "pairs.parquet")
    found = inspect_corpus(tmp_path / "pairs.parquet", format_="table")
    assert (found.guessed, found.pairs, found.emotions.counts) == (False, 2, {"joy": 1})
    assert (found.images.named, found.images.proposed_folder) == (0, None)


def test_proposes_folder_that_holds_the_images(tmp_path) -> None:
    (tmp_path / "tables").mkdir()
    path = tmp_path / "tables" / "pairs.csv"
    path.write_text("image,caption\nset/a.png,one\nset/b.png,two\nset/c.png,three\n")
    write_image(tmp_path / "photos" / "set" / "b.png", 1)
    assert inspect_corpus(path).images.proposed_folder is None  # one of three may be there by chance
    write_image(tmp_path / "images" / "b.png", 1)
    write_image(tmp_path / "photos" / "set" / "c.png", 1)
    images = inspect_corpus(path).images
    assert images.proposed_folder == str(tmp_path / "photos")
    assert (images.folder, images.found, images.copies) == (None, None, None)


def test_examples_are_few_short_and_the_same(tmp_path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("caption\n" + "\n".join(f"{number} {'word ' * 40}" for number in range(100)) + "\n")
    examples = inspect_corpus(path).examples
    assert examples == inspect_corpus(path).examples
    assert len(examples) == 5
    assert all(len(example.caption) == 100 and example.caption.endswith("...") for example in examples)
    assert [example.pair_id for example in examples] != [f"pairs:{number}" for number in range(2, 7)]


def test_folder_is_refused_with_its_files(tmp_path) -> None:
    with pytest.raises(EmocapError, match="is a folder, and contains no file that may be a corpus"):
        inspect_corpus(tmp_path)
    for name in ("b.csv", "parts/a.json.gz", "._b.csv", "a.png", "parts/deeper/c.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("caption\na\n")
    with pytest.raises(EmocapError, match=r"is a folder; give one of its files: b\.csv, parts/a\.json\.gz$"):
        inspect_corpus(tmp_path)


def test_compressed_table_is_the_same(tmp_path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("caption,emotions\nsea,joy\n")
    with path.open("rb") as plain, gzip.open(tmp_path / "pairs.csv.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    plain_values, values = (inspect_corpus(tmp_path / name).to_json() for name in ("pairs.csv", "pairs.csv.gz"))
    own = {"path": "", "files": []}
    assert values | own == plain_values | own


def test_every_file_of_a_folder_has_a_digest(tmp_path) -> None:
    for name in ("train.tsv", "test.tsv"):
        (tmp_path / name).write_text(f"{name}\t2\tabcdefg\n")
    files = inspect_corpus(tmp_path).files
    assert {Path(file.path).name: file.sha256 for file in files} == {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("train.tsv", "test.tsv")
    }
