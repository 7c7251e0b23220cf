"""Seconds and peak memory of `prepare` and `splits` in a study with a captioner, on synthetic corpora of COCO's size.

python benchmarks/prepare.py                     # 600,000 source pairs of 120,000 images, 5,000 target pairs
python benchmarks/prepare.py --files             # the same with image files, which are searched for copies
python benchmarks/prepare.py --images 12000      # a tenth
"""

import argparse
import json
import logging
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from emocap.study.config.study import StudyConfig
from emocap.study.run import units_of
from emocap.study.stages.prepare import prepare
from emocap.study.stages.splits import splits

WORDS = [f"word{number}" for number in range(60)]
EMOTIONS = ["happy", "sad", "awe", "calm", "angry", "afraid", "amused", "bored", "curious", "hopeful"]
CAPTIONS_PER_IMAGE = 5


def write_source(folder: Path, n_images: int, *, files: bool) -> None:
    """COCO's captions JSON with five captions for each image, and the image folder."""
    rng = random.Random(0)
    (folder / "images").mkdir()
    names = [f"{number:012d}.jpg" for number in range(1, n_images + 1)]
    if files:
        for name in names:
            (folder / "images" / name).write_bytes(rng.randbytes(rng.randint(500, 5000)))
    annotations = [
        {
            "id": row,
            "image_id": row // CAPTIONS_PER_IMAGE + 1,
            "caption": " ".join(rng.choices(WORDS, k=11)) + f" {row}",
        }
        for row in range(CAPTIONS_PER_IMAGE * n_images)
    ]
    images = [{"id": number, "file_name": name} for number, name in enumerate(names, 1)]
    (folder / "captions.json").write_text(json.dumps({"images": images, "annotations": annotations}))


def write_target(folder: Path, n_pairs: int) -> None:
    """Labelled pairs as JSONL."""
    rng = random.Random(1)
    rows = [
        {
            "image": f"target-{row}.jpg",
            "caption": " ".join(rng.choices(WORDS, k=9)) + f" target {row}",
            "emotions": rng.sample(EMOTIONS, rng.randint(1, 4)),
        }
        for row in range(n_pairs)
    ]
    (folder / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=120_000, help="source images, five captions each")
    parser.add_argument("--target-pairs", type=int, default=5_000)
    parser.add_argument("--files", action="store_true", help="write an image file of up to 5 kB for each source image")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_source(folder, arguments.images, files=arguments.files)
        write_target(folder, arguments.target_pairs)
        config = StudyConfig.model_validate(
            {
                "data_root": folder,
                "target": {"format": "table", "path": "pairs.jsonl"},
                "source": {"format": "coco", "path": "captions.json", "images": "images"},
                "model": {"backbone": "offline"},
                "captioner": {"held_out_images": min(2_000, arguments.images // 10)},
            }
        )
        (unit,) = units_of(config, folder / "run")
        n_pairs, total = CAPTIONS_PER_IMAGE * arguments.images, 0.0
        print(f"{n_pairs:,} source pairs, {arguments.target_pairs:,} target pairs")
        for stage in (prepare, splits):
            start = time.perf_counter()
            stage(unit)
            seconds = time.perf_counter() - start
            total += seconds
            print(f"{stage.__name__:8} {seconds:6.1f} s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        print(f"{'both':8} {total:6.1f} s, peak memory {peak / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
