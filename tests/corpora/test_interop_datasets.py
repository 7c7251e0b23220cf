"""Datasets of Hugging Face: class labels, images without decoding, parts, streams, records whose keys differ."""

import io
import json
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as PillowImage

from emocap.corpora.pairs import SCHEMA, Pairs
from emocap.corpora.table import read_table
from emocap.errors import EmocapError

hd = pytest.importorskip("datasets")
CAPTIONS = ["a dog", "a storm", "a lake"]
NAMES = ["joy", "awe", "sad"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("EMOCAP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def png(tmp_path) -> bytes:
    PillowImage.new("RGB", (4, 3), (200, 0, 0)).save(tmp_path / "red.png")
    return (tmp_path / "red.png").read_bytes()


@pytest.mark.parametrize(
    ("feature", "cells", "expected"),
    [
        (hd.ClassLabel(names=NAMES), [0, -1, None], [["joy"], [], []]),
        (hd.Sequence(hd.ClassLabel(names=NAMES)), [[2, 0], [], None], [["joy", "sad"], [], []]),
        ([hd.ClassLabel(names=NAMES)], [[2, -1], [None], None], [["sad"], [], []]),
        (hd.LargeList(hd.ClassLabel(names=NAMES)), [[1], [], None], [["awe"], [], []]),
        (hd.Sequence(hd.ClassLabel(names=NAMES), length=2), [[1, 2], [0, 0], None], [["awe", "sad"], ["joy"], []]),
        ([hd.Value("large_string")], [["awe"], [], None], [["awe"], [], []]),
        ({"joy": hd.Value("float16"), "awe": hd.Value("float32")}, [{"joy": 0.75, "awe": 0.25}] * 3, [["joy"]] * 3),
    ],
)
def test_class_names_are_kept(feature, cells, expected, tmp_path) -> None:
    features = hd.Features({"caption": hd.Value("string"), "labels": feature})
    dataset = hd.Dataset.from_dict({"caption": CAPTIONS, "labels": cells}, features=features)
    assert Pairs.from_dataset(dataset).emotions == expected
    assert Pairs.from_dataset(dataset.to_iterable_dataset()).emotions == expected
    assert Pairs.from_dataset(dataset.with_format("numpy")).emotions == expected
    dataset.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").emotions == expected


def test_index_without_a_name_is_rejected() -> None:
    features = hd.Features({"caption": hd.Value("string"), "label": hd.ClassLabel(names=NAMES)})
    table = pa.table({"caption": CAPTIONS[:2], "label": [0, 9]}).replace_schema_metadata(features.arrow_schema.metadata)
    pairs = Pairs.from_dataset(hd.Dataset(table))
    assert pairs.emotions == [["joy"]]
    assert "row 2" in pairs.rejected[0].where
    assert "emotions are 9" in pairs.rejected[0].reason


def test_order_and_choice_of_rows_are_kept() -> None:
    dataset = hd.Dataset.from_dict({"caption": [f"c{row}" for row in range(2500)]}).shuffle(seed=3)
    assert Pairs.from_dataset(dataset).captions == dataset["caption"][:]
    assert Pairs.from_dataset(dataset.select([5, 1])).captions == dataset["caption"][5:6] + dataset["caption"][1:2]


def test_parts_become_splits() -> None:
    columns = {"pair_id": [0, 1], "caption": CAPTIONS[:2], "emotions": [["joy"]] * 2}
    parts = hd.DatasetDict({name: hd.Dataset.from_dict(columns) for name in ("train", "val", "extra")})
    pairs = Pairs.from_dataset(parts)
    assert pairs.splits == ["train"] * 2 + ["validation"] * 2 + [None] * 2
    assert pairs.pair_ids[:3] == ["train/0", "train/1", "val/0"]
    assert pairs.notes == (
        "pair ids occur in several parts; the part's name is put before all of them",
        "2 rows have an unknown split, such as 'extra' (2)",
    )
    distinct = hd.DatasetDict(train=parts["train"], test=parts["val"].map(lambda row: {"pair_id": row["pair_id"] + 2}))
    assert Pairs.from_dataset(distinct).pair_ids == ["0", "1", "2", "3"]
    without_ids = parts.remove_columns("pair_id")
    assert Pairs.from_dataset(without_ids).pair_ids == [f"row:{number}" for number in range(1, 7)]
    streams = hd.IterableDatasetDict({name: part.to_iterable_dataset() for name, part in parts.items()})
    assert Pairs.from_dataset(streams).table.equals(pairs.table)


def test_own_splits_come_before_the_keys() -> None:
    columns = {"caption": ["a", "b", "c", "d"], "split": ["train", "dev", None, "test"]}
    for whole in (hd.Dataset.from_dict(columns), hd.Dataset.from_dict(columns).to_iterable_dataset()):
        pairs = Pairs.from_dataset({"train": whole})
        assert pairs.splits == ["train", "validation", "train", "test"]
        assert len(pairs.notes) == 1
        assert "the key of the dataset differ in 2 rows, such as 'dev' in 'train'; the column counts" in pairs.notes[0]
    parts = hd.DatasetDict(
        {name: hd.Dataset.from_dict({"caption": [name], "split": ["news"]}) for name in ("val", "test")}
    )
    pairs = Pairs.from_dataset(parts)
    assert pairs.splits == ["validation", "test"]
    assert "differ in 2 rows, such as 'news' in 'val'" in pairs.notes[0]
    same = hd.DatasetDict(validation=hd.Dataset.from_dict({"caption": ["a"], "split": ["VAL"]}))
    assert Pairs.from_dataset(same).notes == ()


def test_our_splits_survive_a_dataset_of_parts() -> None:
    table = {"pair_id": ["1", "2"], "image": ["", ""], "caption": ["a", "b"], "split": ["test", None]}
    pairs = Pairs(pa.table(dict.fromkeys(SCHEMA.names, [None] * 2) | table, schema=SCHEMA))
    assert Pairs.from_dataset(hd.DatasetDict(train=pairs.to_dataset())).splits == ["test", "train"]


@pytest.mark.parametrize("streamed", [False, True])
def test_images_are_copied_not_decoded(png, tmp_path, streamed) -> None:
    features = hd.Features({"image": hd.Image(), "caption": hd.Value("string"), "mask": hd.Image()})
    cells = [{"bytes": b"not decoded", "path": "a.webp"}, None, str(tmp_path / "red.png")]
    dataset = hd.Dataset.from_dict({"image": cells, "caption": CAPTIONS, "mask": [None] * 3}, features=features)
    pairs = Pairs.from_dataset(dataset.to_iterable_dataset() if streamed else dataset)
    assert [name and (pairs.image_root / name).read_bytes() for name in pairs.images] == [b"not decoded", "", png]
    assert [Path(name).suffix for name in pairs.images] == [".webp", "", ".png"]


def test_only_image_column_is_the_image(png) -> None:
    features = hd.Features({"photo": hd.Image(), "caption": hd.Value("string")})
    dataset = hd.Dataset.from_dict({"photo": [{"bytes": png, "path": None}], "caption": ["a"]}, features=features)
    pairs = Pairs.from_dataset(dataset)
    assert (pairs.image_root / pairs.images[0]).read_bytes() == png
    assert pairs.notes == ("the image is the column 'photo', the only one of images",)


def test_paths_of_images_below_a_folder(png, tmp_path) -> None:
    features = hd.Features({"image": hd.Image(), "caption": hd.Value("string")})
    cells = [str(tmp_path / "red.png"), str(tmp_path / "gone.png"), None]
    dataset = hd.Dataset.from_dict({"image": cells, "caption": CAPTIONS}, features=features)
    assert Pairs.from_dataset(dataset, tmp_path).images == ["red.png", "gone.png", ""]
    alone = Pairs.from_dataset(dataset)
    assert alone.captions == ["a dog", "a lake"]
    assert alone.pair_ids == ["row:1", "row:3"]
    assert "gone.png' is named but not contained" in alone.rejected[0].reason
    stored = hd.Dataset.from_dict({"image": [{"bytes": png, "path": None}], "caption": ["a"]}, features=features)
    with pytest.raises(EmocapError, match="contains the image itself; leave the folder of images out"):
        Pairs.from_dataset(stored, tmp_path)


def test_names_of_images_need_their_column(tmp_path) -> None:
    dataset = hd.Dataset.from_dict({"caption": CAPTIONS})
    with pytest.raises(EmocapError, match="has no column 'image', found caption"):
        Pairs.from_dataset(dataset, tmp_path)


def test_stream_of_records_with_differing_keys(png) -> None:
    def records():
        yield {"caption": "a dog", "image": PillowImage.open(io.BytesIO(png))}
        yield {"caption": "a storm", "emotions": np.array(["awe", "joy"]), "group": 4}
        yield {"caption": "a lake", "emotions": [], "image": np.full((2, 2, 3), 7, dtype=np.uint8)}

    pairs = Pairs.from_dataset(hd.IterableDataset.from_generator(records))
    assert pairs.emotions == [[], ["awe", "joy"], []]
    assert pairs.groups == [None, "4", None]
    images = [PillowImage.open(pairs.image_root / name) for name in pairs.images if name]
    assert [(image.size, image.getpixel((1, 1))) for image in images] == [((4, 3), (200, 0, 0)), ((2, 2), (7, 7, 7))]


@pytest.mark.parametrize("last", [{"sad": 0.8, "joy": 0.5}, {"sad": 0.8, "joy": 1}])
def test_scores_whose_keys_differ(tmp_path, last) -> None:
    """`datasets` fills missing keys with None, or keeps such objects as JSON text; they name the same emotions."""
    records = [{"caption": "a dog", "emotions": {"joy": 0.9}}, {"caption": "a storm", "emotions": last}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    of_list = hd.Dataset.from_list(records)
    of_json = hd.Dataset.from_json(str(tmp_path / "t.jsonl"), cache_dir=tmp_path / "hub")
    for dataset in (of_list, of_json, of_json.to_iterable_dataset()):
        assert Pairs.from_dataset(dataset).emotions == [["joy"], ["joy", "sad"]]
    assert read_table(tmp_path / "t.jsonl").emotions == [["joy"], ["joy", "sad"]]


def test_labels_that_begin_after_a_thousand_rows(tmp_path) -> None:
    cells = [None if row % 2 else [] for row in range(1500)] + [["awe"]]
    dataset = hd.Dataset.from_dict({"caption": [f"c{row}" for row in range(1501)], "emotions": cells})
    dataset.save_to_disk(tmp_path / "saved")
    pairs = Pairs.from_dataset(hd.load_from_disk(tmp_path / "saved"))
    assert pairs.emotions == [[]] * 1500 + [["awe"]]


def test_vectors_and_other_columns_are_left_alone() -> None:
    vector = hd.Sequence(hd.Value("float16"))
    features = hd.Features({"caption": hd.Value("string"), "vector": vector, "grid": hd.Array2D((2, 2), "float32")})
    columns = {"caption": CAPTIONS, "vector": [[0.5]] * 3, "grid": [np.zeros((2, 2))] * 3}
    dataset = hd.Dataset.from_dict(columns, features=features)
    assert Pairs.from_dataset(dataset).captions == CAPTIONS


def test_float_ids_are_whole_or_refused() -> None:
    for type_, number in (("float64", 2**53), ("float32", 2**24)):
        features = hd.Features({"caption": hd.Value("string"), "pair_id": hd.Value(type_)})
        small = hd.Dataset.from_dict({"caption": CAPTIONS, "pair_id": [1, None, 3]}, features=features)
        assert Pairs.from_dataset(small).pair_ids == ["1", "row:2", "3"]
        large = hd.Dataset.from_dict({"caption": CAPTIONS, "pair_id": [1, None, number]}, features=features)
        with pytest.raises(EmocapError, match=f"contains {number} as float"):
            Pairs.from_dataset(large)


@pytest.fixture
def with_images(png, tmp_path) -> Pairs:
    rows = dict.fromkeys(SCHEMA.names, [None] * 3)
    rows |= {"pair_id": ["a", "b", "c"], "image": ["red.png", "", "gone.png"], "caption": CAPTIONS}
    rows["emotions"] = [["joy"], [], None]
    return Pairs(pa.table(rows, schema=SCHEMA), tmp_path)


def test_features_of_our_dataset(with_images) -> None:
    features = with_images.to_dataset().features
    assert features["emotions"] == hd.List(hd.Value("string"))
    assert features["annotations"].feature["ethnicity"] == hd.List(hd.Value("string"))
    assert features["image"] == hd.Value("string")


def test_our_dataset_with_images_is_decoded(with_images, tmp_path, caplog, png) -> None:
    with caplog.at_level(logging.WARNING, logger="emocap"):
        dataset = with_images.to_dataset(with_images=True)
    assert "1 of 2 images are missing" in caplog.text
    assert dataset[0]["image"].getpixel((0, 0)) == (200, 0, 0)
    assert [row["image"] for row in dataset.select([1, 2])] == [None, None]
    again = Pairs.from_dataset(dataset, tmp_path)
    assert again.images == ["red.png", "", ""]
    assert again.emotions == [["joy"], [], None]
    dataset.save_to_disk(tmp_path / "saved")
    (tmp_path / "red.png").unlink()
    moved = Pairs.from_dataset(hd.load_from_disk(tmp_path / "saved"))
    assert (moved.image_root / moved.images[0]).read_bytes() == png


def test_images_need_their_folder(with_images) -> None:
    with pytest.raises(EmocapError, match="have no folder of images"):
        Pairs(with_images.table).to_dataset(with_images=True)


def test_our_parquet_is_read_by_datasets(with_images, tmp_path) -> None:
    pq.write_table(with_images.table, tmp_path / "t.parquet")
    dataset = hd.Dataset.from_parquet(str(tmp_path / "t.parquet"), cache_dir=tmp_path / "hub")
    assert dataset["emotions"][:] == [["joy"], [], None]


def test_lists_of_numbers_are_no_labels() -> None:
    dataset = hd.Dataset.from_dict({"caption": ["a"], "labels": [[1.0, 0.0]], "vector": [[0.1, 0.2]]})
    with pytest.raises(EmocapError, match=r"emotions \[1\.0, 0\.0\] contain what is not a word"):
        Pairs.from_dataset(dataset)
