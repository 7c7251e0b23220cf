"""Small tables drawn from real corpora by seed, for `small_tables.py`: training rows and the rows to test on.

`REPORTED` are the tables of docs/RESULTS.md; defaults of emocap were chosen on `DEVELOPMENT`, which shares no row with
them but for other rows of GoEmotions and of GoodNewsEveryone under other labels.
"""

import ast
import csv
import gzip
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAX_TEST_ROWS = 1000
Row = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class SmallTable:
    """One table.

    Attributes:
        n_rows: number of training rows.
        read: the data folder to all rows, (caption, emotions).
        emotions: those that are kept; rows without any of them are left out.
        is_single: whether only rows with exactly one emotion are kept.
    """

    n_rows: int
    read: Callable[[Path], Iterator[Row]]
    emotions: tuple[str, ...]
    is_single: bool = True

    def draw(self, data: Path, seed: int) -> tuple[list[Row], list[Row]]:
        """The training and the test rows of a seed; a caption is in one of them once."""
        rows: dict[str, tuple[str, ...]] = {}
        for caption, named in self.read(data):
            kept = tuple(emotion for emotion in self.emotions if emotion in named)
            if caption.strip() and kept and not (self.is_single and len(named) != 1):
                rows.setdefault(" ".join(caption.split()), kept)
        order = np.random.default_rng(seed).permutation(len(rows))
        drawn = [list(rows.items())[row] for row in order]
        return drawn[: self.n_rows], drawn[self.n_rows : self.n_rows + MAX_TEST_ROWS]


def _csv_rows(path: Path) -> Iterator[dict[str, str]]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))


def _socratis(data: Path) -> Iterator[Row]:
    for row in _csv_rows(data / "socratis" / "cleaned_data.csv"):
        yield row["caption"], tuple(dict.fromkeys(ast.literal_eval(row["emotions"])))


def _goemotions(data: Path) -> Iterator[Row]:
    names = (data / "goemotions" / "emotions.txt").read_text().split()
    for line in (data / "goemotions" / "train.tsv").read_text(encoding="utf-8").split("\n"):
        if line:
            text, ids, _ = line.split("\t")
            yield text, tuple(names[int(number)] for number in ids.split(","))


def _posts(data: Path) -> Iterator[Row]:
    for row in _csv_rows(data / "posts" / "posts.csv"):
        yield row["caption"], (row["emotions"],)


def _semeval(data: Path) -> Iterator[Row]:
    names = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
    for row in _csv_rows(data / "reader-emotions" / "semeval2007-headlines.csv.gz"):
        strongest = max(names, key=lambda name: float(row[name]))
        if float(row[strongest]) >= 40:
            yield row["headline"], (strongest,)


def _good_news(column: str) -> Callable[[Path], Iterator[Row]]:
    def read(data: Path) -> Iterator[Row]:
        for row in _csv_rows(data / "reader-emotions" / "goodnewseveryone.csv.gz"):
            yield row["headline"], (row[column],)

    return read


def _senticap(data: Path) -> Iterator[Row]:
    for row in _csv_rows(data / "extra" / "senticap.csv"):
        yield row["caption"], (row["sentiment"],)


def _nemo(data: Path) -> Iterator[Row]:
    answers: dict[str, list[str]] = defaultdict(list)
    for row in _csv_rows(data / "reader-emotions" / "nemo-plus.csv.gz"):
        answers[row["headline"]].append(row["emotion"])
    for headline, named in answers.items():
        yield headline, (Counter(named).most_common(1)[0][0],)


REPORTED = {
    "goemotions": SmallTable(
        60, _goemotions, ("admiration", "gratitude", "amusement", "annoyance", "love", "curiosity")
    ),
    "semeval2007": SmallTable(120, _semeval, ("joy", "sadness", "fear", "surprise")),
    "posts": SmallTable(200, _posts, ("positive", "negative", "neutral")),
    "goodnewseveryone": SmallTable(400, _good_news("reader_emotion"), ("annoyance", "sadness", "joy", "disgust")),
    "socratis": SmallTable(
        600,
        _socratis,
        ("happy", "sad", "excited", "curious", "interested", "confused", "angry", "worried", "proud", "hopeful"),
        is_single=False,
    ),
}
DEVELOPMENT = {
    "goemotions-others": SmallTable(
        60, _goemotions, ("disapproval", "optimism", "confusion", "joy", "surprise", "disappointment")
    ),
    "senticap": SmallTable(120, _senticap, ("positive", "negative")),
    "goodnewseveryone-text": SmallTable(
        200, _good_news("text_emotion"), ("negative_surprise", "positive_surprise", "anger", "fear", "joy")
    ),
    "nemo": SmallTable(400, _nemo, ("sadness", "fear", "anger", "contentment", "disgust")),
    "goemotions-multi": SmallTable(
        600,
        _goemotions,
        ("approval", "disapproval", "optimism", "joy", "sadness", "surprise", "caring", "excitement", "fear", "desire"),
        is_single=False,
    ),
}
