"""CPU-seconds and memory of a study of 60 rows, from `emocap run` to the report.

python benchmarks/small_study.py [--rows 60] [--keep FOLDER]

The corpus is made up: captions of ten words, five emotions that two words each make likely, three annotators. Prints
the CPU-seconds of the whole command and of each stage.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

EMOTIONS = {
    "joy": ("wins", "laughs"),
    "sadness": ("lost", "alone"),
    "fear": ("dark", "storm"),
    "awe": ("mountain", "stars"),
    "anger": ("shouts", "broken"),
}
WORDS = (
    "a",
    "the",
    "child",
    "dog",
    "woman",
    "boat",
    "house",
    "in",
    "near",
    "is",
    "looks",
    "walks",
    "quiet",
    "old",
    "field",
)
STUDY = "name: small\ndata_root: .\ntarget: {format: table, path: pairs.csv}\nmodel: {backbone: offline}\n"


def write_corpus(path: Path, n_rows: int, seed: int = 0) -> None:
    """Write a CSV of captions with the emotions that annotators named, without images."""
    generator = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["caption", "emotions"])
        for number in range(n_rows):
            named = list(generator.choice(list(EMOTIONS), generator.integers(1, 3), replace=False))
            words = [*generator.choice(WORDS, 8), *(generator.choice(EMOTIONS[emotion]) for emotion in named)]
            if generator.random() < 0.3:
                named.append(str(generator.choice([emotion for emotion in EMOTIONS if emotion not in named])))
            writer.writerow([f"{number}: {' '.join(generator.permutation(words))}", "|".join(named)])


def main() -> None:
    """Run the study and print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--keep", type=Path, help="folder of corpus, study and run; by default a temporary one")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        write_corpus(folder / "pairs.csv", arguments.rows)
        (folder / "study.yaml").write_text(STUDY)
        command = [sys.executable, "-m", "emocap", "run", "study.yaml", "--run-dir", "run"]
        command += [part for override in arguments.overrides for part in ("--set", override)]
        subprocess.run(command, cwd=folder, check=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        manifest = json.loads((folder / "run" / "manifest.json").read_text())
    print("| stage | seconds |\n| --- | --- |")
    for stage in manifest["stages"]:
        print(f"| {stage['name']} | {stage['seconds']} |")
    memory = used.ru_maxrss / 2**20
    print(f"\n{used.ru_utime:.1f} + {used.ru_stime:.1f} CPU-seconds (user + system), {memory:.2f} GiB at most")


if __name__ == "__main__":
    main()
