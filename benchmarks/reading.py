"""Seconds and peak memory of reading a CSV of a million rows, and COCO's captions JSON at its real size.

python benchmarks/reading.py             # both, each in a process of its own
python benchmarks/reading.py csv         # a million rows: image, caption and labels in four notations
python benchmarks/reading.py coco        # 590,000 captions of 118,000 images
python benchmarks/reading.py splits      # the split of the million rows, of 200,000 images
"""

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from emocap.corpora.pairs import Pairs
from emocap.corpora.read import read_corpus
from emocap.corpora.splits import split_by_image
from emocap.emotions import build_vocabulary

WORDS = [f"word{number}" for number in range(60)]
CELLS = ["['joy', 'awe']", "joy|sad", '["calm"]', ""]
N_ROWS = 1_000_000
N_IMAGES = 118_000
CAPTIONS_PER_IMAGE = 5


def write_csv(path: Path) -> None:
    """A million rows of distinct captions, five for each image."""
    rng = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption", "emotions"])
        for row in range(N_ROWS):
            caption = " ".join(rng.choices(WORDS, k=10)) + f" {row}"
            writer.writerow([f"{row // CAPTIONS_PER_IMAGE:08d}.jpg", caption, rng.choice(CELLS)])


def write_coco(path: Path) -> None:
    """COCO's captions JSON with five captions for each image."""
    rng = random.Random(0)
    images = [
        {"id": number, "file_name": f"{number:012d}.jpg", "height": 480, "width": 640} for number in range(N_IMAGES)
    ]
    annotations = [
        {"id": row, "image_id": row // CAPTIONS_PER_IMAGE, "caption": " ".join(rng.choices(WORDS, k=11)) + f" {row}"}
        for row in range(CAPTIONS_PER_IMAGE * N_IMAGES)
    ]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "licenses": []}))


def measure(part: str) -> None:
    """Print what one part took."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("captions.json" if part == "coco" else "pairs.csv")
        (write_coco if part == "coco" else write_csv)(path)
        subprocess.run([sys.executable, __file__, part, "--file", str(path)], check=True)


def read(part: str, path: Path) -> None:
    """Read a file, or split what it contains, and print seconds and peak memory."""
    start = time.perf_counter()
    pairs: Pairs = read_corpus("coco" if part == "coco" else "table", path)
    what = f"{len(pairs):,} pairs read"
    if part == "splits":
        vocabulary = build_vocabulary(pairs.emotions)
        start = time.perf_counter()
        parts = split_by_image(pairs, vocabulary, {"train": 0.7, "validation": 0.1, "test": 0.2}).parts
        what = f"{sum(map(len, parts.values())):,} images split"
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{part}: {what} in {seconds:.1f} s, peak {peak:.2f} GiB")


def main() -> None:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=["csv", "coco", "splits"])
    parser.add_argument("--file", type=Path)
    arguments = parser.parse_args()
    if arguments.file is not None:
        read(arguments.part, arguments.file)
        return
    for part in [arguments.part] if arguments.part else ["csv", "coco", "splits"]:
        measure(part)


if __name__ == "__main__":
    main()
