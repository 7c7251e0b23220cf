"""Several corpora as one: what is kept apart, and which captions count once."""

from pathlib import Path

from emocap.corpora.image_folders import common_folder
from emocap.corpora.joined import corpus_names, join_corpora
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder


def corpus(rows, root: Path | None = None, emotions=None) -> Pairs:
    builder = PairsBuilder("corpus", root)
    for number, (image, caption) in enumerate(rows):
        builder.add(f"row {number}", str(number), image, caption, emotions, group="g")
    return builder.build()


def test_ids_groups_and_unseen_images_are_kept_apart() -> None:
    joined = join_corpora([corpus([("a.jpg", "A dog")]), corpus([("a.jpg", "A cat")])], ["one", "two"])
    assert joined.pairs.pair_ids == ["one:0", "two:0"]
    assert joined.pairs.groups == ["one:g", "two:g"]
    assert joined.pairs.images == ["one.no-images/a.jpg", "two.no-images/a.jpg"]
    assert joined.pairs.image_root is None
    assert joined.corpus_of.tolist() == [0, 1]


def test_a_caption_without_image_counts_once() -> None:
    texts = [corpus([(None, "A dog"), (None, "a  DOG")]), corpus([(None, "A cat"), (None, "A dog")])]
    joined = join_corpora(texts, ["one", "two"])
    assert (joined.pairs.captions, joined.repeated) == (["A dog", "A cat"], [1, 1])
    assert joined.corpus_of.tolist() == [0, 1]


def test_images_are_relative_to_the_common_folder(tmp_path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").touch()
    first = corpus([("a.jpg", "A dog"), ("a.jpg", "A dog")], tmp_path / "one")
    second = corpus([("a.jpg", "A dog")], tmp_path / "two")
    texts = corpus([("a.jpg", "A dog"), ("a.jpg", "A cat")])
    joined = join_corpora([first, second, texts], ["one", "two", "texts"])
    assert joined.pairs.image_root == common_folder([tmp_path / "one", tmp_path / "two"])
    assert joined.pairs.images == ["one/a.jpg", "two/a.jpg", "texts.no-images/a.jpg"]
    assert joined.repeated == [1, 0, 1]  # two photographs may have one caption, a text may not have it again


def test_one_folder_of_two_corpora_has_one_image(tmp_path) -> None:
    (tmp_path / "a.jpg").touch()
    joined = join_corpora([corpus([("a.jpg", text)], tmp_path) for text in ("A dog", "A cat")], ["one", "two"])
    assert joined.pairs.distinct_images() == ["a.jpg"]


def test_unlabelled_and_labelled_pairs_stay_so() -> None:
    joined = join_corpora([corpus([(None, "A dog")], emotions=["joy"]), corpus([(None, "A cat")])], ["one", "two"])
    assert joined.pairs.emotions == [["joy"], None]


def test_names_are_distinct() -> None:
    paths = [Path("a/b.csv"), Path("c/b.tsv"), Path("b-2.csv"), Path("d/b.csv.gz")]
    assert corpus_names(paths) == ["b", "b-2", "b-2-2", "b-3"]
