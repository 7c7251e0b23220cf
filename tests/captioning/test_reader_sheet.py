"""The sheet that is handed to readers, and its key."""

import csv
import re
from collections import Counter

from emocap.captioning.reader_sheet import KEY_COLUMNS, N_CAPTIONS, N_CHOICES, reader_sheet

LABELS = [f"emotion{number}" for number in range(8)]
CAPTIONS = [f"caption {row} <of> a dog" for row in range(60)] + ["caption 3 <of> a dog", ""]
EMOTIONS = [row % 8 for row in range(62)]
IMAGES = [f"{row}.jpg" for row in range(62)]


def sheet(seed=0):
    page, key = reader_sheet(CAPTIONS, EMOTIONS, IMAGES, LABELS, seed)
    return page, list(csv.DictReader(key.splitlines()))


def test_hides_labels_that_the_key_has():
    page, key = sheet()
    assert len(key) == N_CAPTIONS == len({entry["caption"] for entry in key})
    assert set(key[0]) == set(KEY_COLUMNS)
    items = re.findall(r"<li.*?</li>", page, flags=re.DOTALL)
    assert len(items) == N_CAPTIONS
    for item, entry in zip(items, key, strict=True):
        choices = re.findall(r"<span>(.*?)</span>", item)
        assert len(set(choices)) == N_CHOICES
        assert entry["emotion"] in choices
        assert choices == sorted(choices)  # the place tells nothing
        assert entry["emotion"] == LABELS[EMOTIONS[IMAGES.index(entry["image"])]]
    assert not any(image in page for image in IMAGES)
    assert "&lt;of&gt;" in page


def test_seed_draws_the_captions():
    assert sheet(1) == sheet(1)
    assert sheet(1)[1] != sheet(2)[1]


def test_few_labels_offer_all_of_them():
    page, _ = reader_sheet(["one", "two"], [0, 1], ["a", "b"], ["happy", "sad"], 0)
    assert page.count("<span>happy</span>") == page.count("<span>sad</span>") == 2
    assert "one of the 2 emotions" in page


def test_frequent_emotions_are_no_better_guess():
    """Half of the captions are for one emotion; on the sheet it is as frequent as the others."""
    captions = [f"caption {row}" for row in range(400)]
    emotions = [0 if row % 2 else 1 + row // 2 % 7 for row in range(400)]
    _, key = reader_sheet(captions, emotions, captions, LABELS, 0)
    counts = Counter(entry["emotion"] for entry in csv.DictReader(key.splitlines()))
    assert set(counts.values()) == {N_CAPTIONS // len(LABELS)}
    assert len(set(counts)) == len(LABELS)
