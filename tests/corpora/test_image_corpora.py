"""Corpora of images: EMOTIC and EmoSet take their captions from a table beside, OASIS has themes for captions."""

import json
from pathlib import Path

import pytest

from emocap.corpora.formats.emoset import read_emoset
from emocap.corpora.formats.emotic import read_emotic
from emocap.corpora.formats.oasis import read_oasis
from emocap.corpora.options import ReadOptions
from emocap.corpora.read import corpus_files, guess_format, read_corpus
from emocap.errors import EmocapError

EMOTIC_HEADER = "Index,Folder,Filename,Image Size,BBox,Categorical_Labels,Continuous_Labels,Gender,Age\n"


def person(number: int, file: str, labels: str) -> str:
    return f'{number},mscoco/images,{file},"[640, 480]","[86, 58, 564, 628]","{labels}","[5.0, 3.0, 9.0]",Male,Adult\n'


def emotic(folder: Path) -> Path:
    train = EMOTIC_HEADER + person(0, "a.jpg", "['Disconnection', 'Doubt/Confusion']") + person(1, "a.jpg", "['Peace']")
    (folder / "train.csv").write_text(train + person(2, "c.jpg", "['Fear']"))
    (folder / "val.csv").write_text(EMOTIC_HEADER + person(0, "b.jpg", "['Anger']") + person(1, "d.jpg", "5"))
    return folder


def test_emotic_needs_captions(tmp_path) -> None:
    with pytest.raises(EmocapError, match=r"captions\.csv: no such file; EMOTIC has no captions"):
        read_corpus(guess_format(emotic(tmp_path)), tmp_path)


def test_emotic_joins_people_and_captions(tmp_path) -> None:
    emotic(tmp_path)
    (tmp_path / "captions.csv").write_text("image,caption\na.jpg,Two people\na.jpg,A street\nb.jpg,A room\n")
    assert guess_format(tmp_path / "val.csv") == "emotic"
    pairs = read_corpus("emotic", tmp_path)
    assert pairs.images == ["mscoco/images/a.jpg"] * 2 + ["mscoco/images/b.jpg"]
    assert pairs.captions == ["Two people", "A street", "A room"]
    assert pairs.emotions == [["Disconnection", "Doubt/Confusion", "Peace"]] * 2 + [["Anger"]]
    assert pairs.splits == ["train", "train", "validation"]
    assert len(pairs.rejected) == 2, "a cell that is no list of labels, and an image without a caption"
    assert "of all people in it together" in pairs.notes[0]
    assert corpus_files("emotic", tmp_path)[-1] == tmp_path / "captions.csv"


def test_emotic_matlab_file_says_how_to_convert_it(tmp_path) -> None:
    path = tmp_path / "Annotations.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(200))
    assert guess_format(path) == "emotic"
    with pytest.raises(EmocapError, match=r"is a MATLAB file, which is not read; convert it with mat2py\.py"):
        read_emotic(path)


def emoset(folder: Path) -> Path:
    def entry(emotion: str, number: int) -> list[str]:
        name = f"{emotion}/{emotion}_{number:05d}"
        return [emotion, f"image/{name}.jpg", f"annotation/{name}.json"]

    (folder / "train.json").write_text(json.dumps([entry("amusement", 1), entry("awe", 2), ["sadness"]]))
    long = ["awe", "awe_00003", "image/awe/awe_00003.jpg", "annotation/awe/awe_00003.json"]
    (folder / "test.json").write_text(json.dumps([long]))
    lines = ["image,caption", "image/amusement/amusement_00001.jpg,Clowns", "awe_00003.jpg,A canyon"]
    (folder / "captions.csv").write_text("\n".join(lines))
    return folder


def test_emoset_folder_has_its_split(tmp_path) -> None:
    assert guess_format(emoset(tmp_path)) == "emoset"
    assert guess_format(tmp_path / "train.json") == "emoset"
    pairs = read_corpus("emoset", tmp_path)
    assert pairs.images == ["image/amusement/amusement_00001.jpg", "image/awe/awe_00003.jpg"]
    assert pairs.emotions == [["amusement"], ["awe"]]
    assert pairs.splits == ["train", "test"]
    assert [fault.reason for fault in pairs.rejected] == [
        "image 'image/awe/awe_00002.jpg' has no caption in captions.csv",
        "is not a list of an emotion, an image path and an annotation path",
    ]
    assert read_emoset(tmp_path, None, ReadOptions(labels=False)).emotions == [None, None]


def test_emoset_single_annotation_is_one_line(tmp_path) -> None:
    path = tmp_path / "awe_00003.json"
    path.write_text('{"image_id": "awe_00003", "emotion": "awe", "brightness": 0.5, "object": ["Sky"]}')
    assert guess_format(path) == "emoset"
    with pytest.raises(EmocapError, match="is not a list of images; give train.json"):
        read_emoset(path)


def test_oasis_has_cr_line_ends_and_no_emotions(tmp_path) -> None:
    path = tmp_path / "OASIS.csv"
    path.write_bytes(
        b",Theme,Category,Source,Valence_mean,Valence_SD,Valence_N,Arousal_mean,Arousal_SD,Arousal_N\r"
        b"I1,Acorns 1,Object,Pixabay,4.68627451,0.954202712,102,2.346534653,1.602720459,101\r"
        b"I12,Car crash 2 ,Scenery,Flickr/Jan Tik,2.33,1.06,108,4.16,1.80,104"
    )
    assert guess_format(path) == "oasis"
    pairs = read_corpus("oasis", path)
    assert pairs.images == ["Acorns 1.jpg", "Car crash 2.jpg"]
    assert pairs.captions == ["Acorns", "Car crash"]
    assert pairs.groups == ["acorns", "car crash"]
    assert pairs.emotions == [None, None]
    assert "no emotions as words" in pairs.notes[0]


@pytest.mark.real_data
def test_reads_real_oasis(real_data) -> None:
    path = real_data / "oasis" / "oasis.csv"
    assert guess_format(path) == "oasis"
    pairs = read_oasis(path, real_data / "oasis" / "images")
    assert (len(pairs), len(pairs.rejected), len(set(pairs.groups))) == (376, 0, 114)
    assert all((real_data / "oasis" / "images" / image).is_file() for image in pairs.distinct_images())
