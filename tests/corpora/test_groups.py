"""No content in two parts: images by bytes, captions and declared groups, through chains, in random tables."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emocap.corpora.duplicates import normalised_caption, same_content
from emocap.corpora.groups import Groups
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.corpora.splits import Split, fold_by_image, own_split, rows_of, size_notes, split_by_image
from emocap.corpora.table import read_table
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError

VOCABULARY = Vocabulary(("joy", "sad", "awe"))
FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}


def captions_only(captions, emotions=None, **columns) -> Pairs:
    builder = PairsBuilder("synthetic")
    for row, caption in enumerate(captions):
        own = {name: values[row] for name, values in columns.items()}
        builder.add("x", str(row), None, caption, emotions[row] if emotions else ["joy"], **own)
    return builder.build()


def contents_of(pairs: Pairs, row: int) -> set[tuple[str, object]]:
    """What a pair must not share with another part: compared by the bytes themselves, not as the code does it."""
    contents: set[tuple[str, object]] = {("caption", normalised_caption(pairs.captions[row]))}
    if pairs.images[row] and pairs.image_root is not None:
        contents.add(("image", (pairs.image_root / pairs.images[row]).read_bytes()))
    if pairs.groups[row]:
        contents.add(("group", pairs.groups[row]))
    return contents


def assert_no_leak(pairs: Pairs, split: Split, same) -> None:
    rows = rows_of(pairs, split.parts, same, split.left_out)
    part_of: dict[tuple[str, object], str] = {}
    for part, numbers in rows.items():
        for row in numbers:
            for content in contents_of(pairs, row):
                assert part_of.setdefault(content, part) == part, content
    assert sum(map(len, rows.values())) == len(pairs) - len(split.left_out)


@given(data=st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_content_is_in_two_parts(tmp_path_factory, data) -> None:
    n = data.draw(st.integers(24, 60))
    folder = tmp_path_factory.mktemp("corpus")
    draw = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    n_contents, n_captions = int(n * draw.uniform(0.6, 1.2)) + 1, int(n * draw.uniform(0.6, 2)) + 1
    rows = []
    for number in range(n):
        image = f"{number % int(n * 0.9)}.png" if draw.random() < 0.7 else None
        if image and not (folder / image).exists():
            (folder / image).write_bytes(b"image %d" % draw.integers(n_contents))
        text = f"caption  {draw.integers(n_captions)}"
        caption = text.upper() if draw.random() < 0.3 else text
        emotions = [label for label in VOCABULARY.labels if draw.random() < 0.4]
        group = f"g{draw.integers(2 * n)}" if draw.random() < 0.3 else None
        part = str(draw.choice(["train", "test", "val", ""], p=[0.6, 0.2, 0.1, 0.1]))
        rows.append({"image": image, "caption": caption, "emotions": emotions, "group": group, "split": part})
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pairs = read_table(folder / "t.jsonl", folder)
    same = same_content(pairs)
    groups = Groups.of(pairs, same)
    made = []
    for seed in (0, 1):
        try:
            made.append(split_by_image(pairs, VOCABULARY, FRACTIONS, seed, groups))
            made.append(fold_by_image(
                pairs, VOCABULARY, n_folds=3, fold=seed, validation=0.1, seed=seed, groups=groups
            ))  # fmt: skip
        except EmocapError as error:
            if "too few" not in str(error):  # else chains bound nearly all of the rows
                raise
        try:
            own = own_split(pairs, VOCABULARY, FRACTIONS, seed, groups)
        except EmocapError as error:
            if "too few to take one from" not in str(error):
                raise
        else:
            made += [own] if own is not None else []
    for split in made:
        assert_no_leak(pairs, split, same)


@pytest.mark.parametrize("n", [60, 97, 300])
@pytest.mark.parametrize("n_rare", [0, 20, 140])
def test_sizes_are_kept_with_rare_labels(n: int, n_rare: int) -> None:
    draw = np.random.default_rng(n + n_rare)
    emotions = [[draw.choice(["joy", "sad"]), *([f"rare {i % n_rare}"] if n_rare else [])] for i in range(n)]
    pairs = captions_only([f"caption {i}" for i in range(n)], emotions)
    vocabulary = Vocabulary(tuple(sorted({label for named in emotions for label in named})))
    split = split_by_image(pairs, vocabulary, FRACTIONS)
    assert {part: len(keys) for part, keys in split.parts.items()} == split.asked
    assert all(abs(split.asked[part] - share * n) <= 1 for part, share in FRACTIONS.items())
    folds = [fold_by_image(pairs, vocabulary, n_folds=5, fold=fold, validation=0.1, seed=0) for fold in range(5)]
    assert {len(split.parts["test"]) for split in folds} <= {n // 5, n // 5 + 1}
    assert {len(split.parts["validation"]) for split in folds} == {round(0.1 * n)}


def test_common_labels_stay_balanced_beside_rare_ones() -> None:
    draw = np.random.default_rng(0)
    emotions = [["joy" if draw.random() < 0.3 else "sad", f"rare {i % 140}"] for i in range(300)]
    pairs = captions_only([f"caption {i}" for i in range(300)], emotions)
    vocabulary = Vocabulary(tuple(sorted({label for named in emotions for label in named})))
    rows = rows_of(pairs, split_by_image(pairs, vocabulary, FRACTIONS).parts)
    share = np.array(["joy" in named for named in emotions])
    assert all(abs(share[part].mean() - share.mean()) < 0.05 for part in rows.values())


def test_groups_of_several_images_keep_sizes() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 6, 120)
    groups = [f"film {film}" for film, size in enumerate(sizes) for _ in range(size)]
    n = len(groups)
    pairs = captions_only(
        [f"caption {i}" for i in range(n)], [[rng.choice(["joy", "sad"])] for _ in range(n)], group=groups
    )
    bound = Groups.of(pairs)
    split = split_by_image(pairs, VOCABULARY, FRACTIONS, groups=bound)
    assert all(abs(len(keys) - split.asked[part]) <= max(1, 0.01 * n) for part, keys in split.parts.items())
    assert size_notes(split, bound) == []


def test_stock_sentence_is_named_and_can_be_exempted() -> None:
    captions = ["No caption."] * 50 + [f"caption {i}" for i in range(50)]
    pairs = captions_only(captions, [["joy"], ["sad"]] * 50)
    groups = Groups.of(pairs)
    split = split_by_image(pairs, VOCABULARY, FRACTIONS, groups=groups)
    (note,) = size_notes(split, groups)
    assert "50 of 100 images are one group" in note
    assert "the caption 'no caption.' binds most of them" in note
    exempt = Groups.of(pairs, stock_captions=["NO caption."])
    assert size_notes(split_by_image(pairs, VOCABULARY, FRACTIONS, groups=exempt), exempt) == []
    assert exempt.sizes.max() == 1


def test_corpus_of_one_group_is_refused_by_name() -> None:
    pairs = captions_only(["The same."] * 40)
    with pytest.raises(
        EmocapError, match=r"40 images in 1 groups are too few for 3 parts; the caption 'the same\.' binds 40"
    ):
        split_by_image(pairs, VOCABULARY, FRACTIONS)


def test_own_split_is_used_and_leaves_out_what_leaks() -> None:
    captions = [f"caption {i}" for i in range(20)] + ["caption 15", "caption 3"]
    parts = ["train"] * 12 + ["dev"] * 3 + ["TEST"] * 5 + ["training", ""]
    pairs = captions_only(captions, split=parts)
    split = own_split(pairs, VOCABULARY, FRACTIONS)
    rows = rows_of(pairs, split.parts, left_out=split.left_out)
    assert {part: numbers.tolist() for part, numbers in rows.items()} == {
        "train": list(range(12)), "validation": [12, 13, 14], "test": [15, 16, 17, 18, 19],
    }  # fmt: skip
    assert split.left_out == ["20", "21"]


def test_own_split_without_validation_draws_it_from_training() -> None:
    pairs = captions_only([f"caption {i}" for i in range(100)], split=["train"] * 80 + ["test"] * 20)
    split = own_split(pairs, VOCABULARY, FRACTIONS)
    assert {part: len(keys) for part, keys in split.parts.items()} == {"train": 70, "validation": 10, "test": 20}
    assert set(split.parts["test"]) == {f"pair:{row}" for row in range(80, 100)}


def test_own_split_without_test_is_none() -> None:
    assert own_split(captions_only(["a", "b"], split=["train", "val"]), VOCABULARY, FRACTIONS) is None
