"""A source or a labelled source of several corpora, which are read as one."""

import csv
import gzip
import json
import logging
import re

import numpy as np
import pytest

from emocap.cli.checks import check_corpora
from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.report.page import write_report
from emocap.study.config.corpora import CorpusConfig, joint_ratings
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, units_of
from emocap.study.stages.prepare import input_files, prepare
from emocap.study.unit import Study

COCO = {"format": "coco", "path": "captions_source.json", "images": "source"}
ONE = {"epochs": 1, "learning_rate": 3e-3, "batch_size": 32, "select_by": None}


@pytest.fixture
def table(tmp_path):
    """Writes a compressed CSV and returns the configuration of its corpus."""

    def write(name: str, header: str, *rows, **settings) -> dict:
        path = tmp_path / f"{name}.csv.gz"
        with gzip.open(path, "wt", newline="") as file:
            csv.writer(file).writerows([header.split(","), *rows])
        return {"format": "table", "path": str(path), **settings}

    return write


def prepared(path, folder) -> Study:
    study = Study(load_config(path), folder)
    prepare(study)
    return Study(study.config, folder)


def test_corpora_are_read_in_order_and_captions_once(tiny_study, table, tmp_path, caplog) -> None:
    news = table("news", "text,kind,source", ["A fair opens", "headline", "bbc"], ["Two die", "lead", "bbc"])
    news |= {"format": "news-texts", "where": {"kind": ["headline"]}}
    more = table("more", "caption", ["a fair  OPENS"], ["Rain falls"], ["Rain falls"])
    with caplog.at_level(logging.INFO):
        study = prepared(tiny_study(source=[news, more], features=None), tmp_path)
    assert study.whole("source").captions == ["A fair opens", "Rain falls"]
    assert study.whole("source").pair_ids == ["news:news:2", "more:more:3"]
    assert "source: pairs left out, since an earlier pair has their caption: more 2" in caplog.text
    sizes = study.data("data")
    assert (sizes["source"]["pairs"], sizes["source/news"]["pairs"], sizes["source/more"]["pairs"]) == (2, 1, 1)
    assert sizes["source/more"]["repeated_captions_left_out"] == 2


def test_a_corpus_is_sampled_by_share_or_number(tiny_study, table, tmp_path) -> None:
    many = [table(name, "caption", *([f"{name} number {i}"] for i in range(40))) for name in ("a", "b", "c")]
    corpora = [many[0] | {"share": 0.25}, many[1] | {"limit_images": 3}, many[2]]
    captions = prepared(tiny_study(source=corpora, features=None), tmp_path).whole("source").captions
    assert [sum(caption.startswith(name) for caption in captions) for name in "abc"] == [10, 3, 40]
    other = prepared(tiny_study(source=corpora, features=None, seed=1), tmp_path).whole("source").captions
    assert other[:13] != captions[:13]


def test_a_study_trains_on_images_and_texts_of_two_corpora(tiny_study, tiny_corpora, table, tmp_path) -> None:
    texts = table("texts", "image,caption", *(["unseen.jpg", f"a dog by the sea {i}"] for i in range(20)))
    path = tiny_study(source=[COCO, texts], teacher=ONE, student=ONE, transfer={"AnB": ONE, "AnB+": ONE})
    assert {tiny_corpora / "captions_source.json", tiny_corpora / "source"} < set(
        input_files(Study(load_config(path), tmp_path))
    )
    run_study(load_config(path), tmp_path / "run", report=write_report)
    unit = units_of(load_config(path), tmp_path / "run")[0]
    assert unit.whole("source").image_root == tiny_corpora / "source"
    assert unit.store("source").images[0] == "000000000000.jpg"
    data = read_json(tmp_path / "run" / "manifest.json")["data"]
    assert (data["source"]["pairs"], data["source/texts"]["pairs"]) == (180, 20)
    assert data["source"]["images_missing"] == 1
    assert "Source/texts" in (tmp_path / "run" / "report.html").read_text()


def mixed_labels(table) -> list[dict]:
    """Three corpora: of joy and grief, of grief alone with negatives, and of ratings alone."""
    first = [[f"a happy day {i}", "joy"] if i % 2 else [f"a lost dog {i}", "grief"] for i in range(20)]
    second = [[f"the sea {i}", "grief" if i % 2 else ""] for i in range(20)]
    third = [[f"a boat {i}", "" if i == 0 else 1 + i % 5] for i in range(10)]
    return [
        table("first", "caption,emotions", *first),
        table("second", "caption,emotions", *second),
        table("third", "caption,valence", *third, ratings={"valence": [1, 5]}),
    ]


def test_emotions_that_a_corpus_lacks_are_unknown(tiny_study, table, tmp_path) -> None:
    path = tiny_study(source=None, labelled_source=mixed_labels(table), features=None)
    study = prepared(path, tmp_path)
    assert study.labelled_vocabulary.labels == ("grief", "joy")
    emotions = study.labelled_emotions
    assert emotions[:2].tolist() == [[1, 0], [0, 1]]
    assert np.isnan(emotions).sum(axis=0).tolist() == [9, 29]  # the pair without a rating is left out
    assert emotions[20:22, 0].tolist() == [0, 1]
    ratings = study.whole("labelled_source").rating_values(["valence"])
    assert np.isnan(ratings[:40]).all()
    assert ratings[40:42, 0].tolist() == [0.25, 0.5]
    assert study.labelled_ratings.ranges == {"valence": [1, 5]}


@pytest.mark.parametrize("loss", ["bce", "weighted"])
def test_learns_the_known_cells_of_several_corpora(tiny_study, table, tmp_path, loss) -> None:
    long = {"epochs": 6, "learning_rate": 3e-3, "batch_size": 8, "select_by": None, "loss": loss}
    path = tiny_study(source=None, labelled_source=mixed_labels(table), features=None, labelled=long)
    run_study(load_config(path), tmp_path / "run", report=write_report, until="labelled")
    rows = read_json(tmp_path / "run" / "labelled" / "history.json")["train"]
    losses = [row["loss"] for row in rows]
    assert np.mean(losses[-6:]) < 0.9 * np.mean(losses[:6])
    card = json.loads((tmp_path / "run" / "labelled" / "model" / "emocap.json").read_text())
    assert card["frequencies"] == pytest.approx([0.5, 0.5])


def test_ratings_of_corpora_are_joined_with_the_first_scale() -> None:
    scales = [{"valence": [1, 7]}, {"arousal": [1, 9], "valence": [1, 5]}]
    corpora = [CorpusConfig(format="table", path="a.csv", ratings=ratings) for ratings in scales]
    assert joint_ratings(corpora).ranges == {"valence": [1, 7], "arousal": [1, 9]}


def test_one_corpus_in_a_list_is_that_corpus(tiny_study, tmp_path) -> None:
    alone, listed = (load_config(tiny_study(source=source)) for source in (COCO, [COCO]))
    assert alone.corpora == listed.corpora
    prepare(Study(listed, tmp_path))
    assert "source/captions_source" not in Study(listed, tmp_path).data("data")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "source: List should have at least 1 item"),
        ([COCO, COCO | {"formt": "coco"}], r"source\.1\.formt: unknown key"),
        ({"format": "coco"}, r"source\.path: Field required"),
        ([COCO, COCO | {"store": "s"}], "source.1 names the store of one of several corpora; give its images"),
        (COCO | {"share": 0.5, "limit_images": 3}, "share and limit_images are both given; give one"),
        (COCO | {"share": 2}, r"source\.share: .*less than or equal to 1"),
    ],
)
def test_refuses_lists_that_cannot_be_read_as_one(tiny_study, source, message) -> None:
    with pytest.raises(EmocapError, match=message) as error:
        load_config(tiny_study(source=source))
    assert not re.search(r"\[one\]|\[several\]", str(error.value))


def test_every_corpus_of_a_list_is_checked_first(tiny_study) -> None:
    with pytest.raises(EmocapError, match=r"absent\.csv: no such file"):
        check_corpora(load_config(tiny_study(source=[COCO, {"format": "table", "path": "absent.csv"}])))


def test_names_the_corpus_without_labels(tiny_study, table, tmp_path) -> None:
    path = tiny_study(source=None, labelled_source=[*mixed_labels(table), table("bare", "caption", ["A dog"])])
    with pytest.raises(EmocapError, match=r"bare\.csv\.gz: has no labels; use it as `source` or give another"):
        prepare(Study(load_config(path), tmp_path))
