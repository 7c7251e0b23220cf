"""COCO captions: five captions are five pairs."""

import json

import pytest

from emocap.corpora.formats.coco import read_coco
from emocap.errors import EmocapError


def write(path, images, annotations):
    path.write_text(json.dumps({"images": images, "annotations": annotations, "licenses": []}))
    return path


def test_each_caption_is_a_pair(tmp_path) -> None:
    images = [{"id": 7, "file_name": "07.jpg"}, {"id": 8, "file_name": "08.jpg"}, {"file_name": "x"}]
    annotations = [
        {"id": 1, "image_id": 7, "caption": "A dog."},
        {"id": 2, "image_id": 7, "caption": "Two dogs.\n"},
        {"id": 3, "image_id": 9, "caption": "Nobody."},
        {"id": 4, "image_id": 8, "caption": ""},
        {"id": 5, "image_id": 8},
        {"id": 1, "image_id": 8, "caption": "Again."},
        "text",
    ]
    pairs = read_coco(write(tmp_path / "captions.json", images, annotations), tmp_path)
    assert pairs.images == ["07.jpg", "07.jpg", "08.jpg"]
    assert pairs.captions == ["A dog.", "Two dogs.", "Again."]
    assert pairs.pair_ids == ["captions:0", "2", "captions:5"]
    assert pairs.notes == ("2 annotations share their id with another; they are named by their position",)
    assert not pairs.is_labelled
    assert [q.reason for q in pairs.rejected] == [
        "has no id and file_name",
        "refers to an image that is not listed",
        "caption is empty",
        "caption is NoneType, expected text",
        "is str, expected an object",
    ]


def test_rejects_other_json(tmp_path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"images": {}}')
    with pytest.raises(EmocapError, match="not COCO captions"):
        read_coco(path)


@pytest.mark.real_data
def test_reads_real_coco(real_data) -> None:
    pairs = read_coco(real_data / "coco-mini" / "annotations" / "captions_train2017.json")
    assert len(pairs.distinct_images()) == 80
    assert len(pairs) >= 400


def test_rejects_instances_without_captions(tmp_path) -> None:
    boxes = [{"id": 1, "image_id": 7, "bbox": [0, 0, 1, 1]}]
    with pytest.raises(EmocapError, match=r"no annotation has a caption, expected captions_\*\.json"):
        read_coco(write(tmp_path / "instances.json", [{"id": 7, "file_name": "07.jpg"}], boxes))


def test_lone_surrogate_rejects_one_row(tmp_path) -> None:
    annotations = [{"id": n, "image_id": 7, "caption": caption} for n, caption in enumerate(["\ud800", "fine"])]
    pairs = read_coco(write(tmp_path / "captions.json", [{"id": 7, "file_name": "07.jpg"}], annotations))
    assert (pairs.captions, len(pairs.rejected)) == (["fine"], 1)


def test_ids_that_lost_digits_as_floats_are_refused(tmp_path) -> None:
    images = [{"id": 2**60 + number, "file_name": f"{number}.jpg"} for number in range(3)] + [
        {"id": "nan", "file_name": "n.jpg"}
    ]
    annotations = [{"image_id": float(2**60 + 1), "caption": "A dog."}, {"image_id": "nan", "caption": "A cat."}]
    pairs = read_coco(write(tmp_path / "captions.json", images, annotations))
    assert (pairs.images, pairs.captions) == (["n.jpg"], ["A cat."])
    assert pairs.rejected[0].reason == "refers to an image that is not listed"


def test_two_images_of_one_id_are_refused(tmp_path) -> None:
    images = [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}, {"id": "7", "file_name": "c.jpg"}]
    path = write(tmp_path / "captions.json", images, [{"id": 1, "image_id": 7, "caption": "A dog."}])
    with pytest.raises(EmocapError, match=r"images 'a\.jpg' and 'c\.jpg' have one id, 7; it is unknown whose"):
        read_coco(path)
    path = write(tmp_path / "same.json", [images[0], images[0]], [{"id": 1, "image_id": 7, "caption": "A dog."}])
    assert read_coco(path).images == ["a.jpg"]  # one image listed twice


def test_ids_may_be_text_and_annotations_have_none(tmp_path) -> None:
    images = [{"id": "vid-1/a", "file_name": "a.jpg"}, {"id": 0, "file_name": "b.jpg"}]
    annotations = [{"image_id": "vid-1/a", "caption": "A dog."}, {"image_id": "0", "caption": "A cat."}]
    pairs = read_coco(write(tmp_path / "captions.json", images, annotations))
    assert (pairs.images, pairs.rejected) == (["a.jpg", "b.jpg"], ())
    assert pairs.pair_ids == ["captions:0", "captions:1"]
