"""How often remarks are wrong: on the language of a caption, and on images and captions unlike the training data.

    python benchmarks/remarks.py DATA [RUN]

DATA is the folder of `configs/flickr8k-expressions.yaml`. Its study is run up to its splits, in RUN or a temporary
folder; the statistics are those that its models get. Held-out are the study's test pairs, which the statistics never
see. The other photographs had no part in the choice of any limit. Drawn scenes are those of `emocap demo`, with
another seed than the stage draws with. Foreign captions are in `foreign_captions.json`: 12 sentences of at least six
words in each of five languages, written for this.
"""

import csv
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from emocap.classifiers.familiarity import signature
from emocap.corpora.languages import is_foreign
from emocap.demo.corpora import write_demo_corpora
from emocap.regions.describe import describe_source
from emocap.regions.extractors.registry import build_extractor
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, units_of
from emocap.study.stages.familiarity import unit_familiarity

CONFIG = Path("configs") / "flickr8k-expressions.yaml"
N_DRAWN, SEED = 300, 1234
N_OTHERS = 1000


def main(data: Path, run: Path) -> None:
    """Print a table."""
    print("| what | cases | with a remark |\n| --- | --- | --- |")
    print_languages(data)
    print_familiarity(data, run)


def print_languages(data: Path) -> None:
    """Captions of Flickr8k, and the foreign ones, for a model of English captions."""
    with (data / "flickr8k" / "captions.txt").open(encoding="utf-8", newline="") as file:
        captions = [row["caption"] for row in csv.DictReader(file)]
    print_row("language: Flickr8k's captions (English)", [is_foreign(caption, "en") for caption in captions])
    foreign = json.loads((Path(__file__).parent / "foreign_captions.json").read_text(encoding="utf-8"))
    for language, texts in foreign.items():
        print_row(f"language: captions in {language}", [is_foreign(text, "en") for text in texts])


def print_familiarity(data: Path, run: Path) -> None:
    """Test pairs of the study, drawn scenes, and foreign captions."""
    config = load_config(CONFIG, overrides=[f"data_root={data}"])
    run_study(config, run, report=lambda folder: folder, until="splits")
    (unit,) = units_of(config, run)
    familiarity, store = unit_familiarity(unit), unit.store("target")
    assert familiarity.images is not None
    assert familiarity.captions is not None
    assert store is not None
    test = unit.part("test")
    held_out = np.stack([signature(store[image][0]) for image in test.distinct_images() if image in store])
    extractor = build_extractor(store.header.extractor, dict(store.header.settings))
    with tempfile.TemporaryDirectory() as folder:
        write_demo_corpora(Path(folder) / "demo", n_target=N_DRAWN, n_source_images=1, seed=SEED)
        images = sorted((Path(folder) / "demo" / "socratis" / "images").iterdir())
        drawn = np.stack([signature(describe_source(image, extractor).features) for image in images])
    print_row("unlike: held-out images", familiarity.images.is_unlike(held_out))
    known = {Path(image).name for image in unit.pairs("target").images}
    for what, folder in (("of Flickr8k without an expression", "flickr8k"), ("of FlickrStyle10K", "flickrstyle")):
        others = [image for image in sorted((data / folder / "images").iterdir()) if image.name not in known]
        found = np.stack([signature(describe_source(image, extractor).features) for image in others[:N_OTHERS]])
        print_row(f"unlike: images {what}", familiarity.images.is_unlike(found))
    print_row("unlike: drawn scenes", familiarity.images.is_unlike(drawn))
    distances, limit = familiarity.images.scores(drawn)[0], familiarity.images.limit
    print_row("unlike: drawn scenes, by their distance alone", distances > limit)
    print_row("unlike: held-out captions", familiarity.captions.is_unlike(test.captions))
    with (data / "goemotions" / "dev.tsv").open(encoding="utf-8") as file:
        comments = [line.split("\t")[0] for line in file]
    print_row("unlike: comments of Reddit (GoEmotions, dev)", familiarity.captions.is_unlike(comments))


def print_row(what: str, remarked: np.ndarray | list[bool]) -> None:
    """A row with the share of cases that got the remark."""
    print(f"| {what} | {len(remarked):,} | {sum(remarked)} ({np.mean(remarked):.2%}) |", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(temporary) / "run")
