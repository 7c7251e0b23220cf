"""The captions of a run: tables for docs/RESULTS.md, the ground truth on the demo's images, and generation speed.

python benchmarks/captions.py table runs/demo-captions
python benchmarks/captions.py truth runs/demo-captions
python benchmarks/captions.py ceiling runs/demo-captions
python benchmarks/captions.py speed runs/demo-captions
"""

import argparse
import json
import time
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from emocap.captioning.scores import alignment_hits
from emocap.captioning.system_names import SYSTEMS
from emocap.demo.effects import LABELS
from emocap.demo.feelings import bayes_probabilities
from emocap.demo.scene import Scene
from emocap.demo.wording import read_caption

BATCH = 16


def table(run: Path) -> None:
    """Every system's scores, differences, the judge and the trade-off, as Markdown."""
    results = json.loads((run / "captioner" / "captions.json").read_text())
    print(f"{results['n_images']} images; guidance {results['guidance']}, strength {results['strength']}, ", end="")
    print(f"best of {results['candidates']}; judge {results['judge']}\n")
    print(
        "| captions | alignment | macro alignment | CIDEr-D | BLEU-4 | ROUGE-L | distinct | names the emotion | words |"
    )
    print("| --- |" + " --- |" * 8)
    for name, score in results["systems"].items():
        cells = [
            _interval(score["alignment"]),
            _interval(score["alignment_by_emotion"]),
            _interval(score["cider_d"]),
            *(f"{score[key]:.3f}" for key in ("bleu_4", "rouge_l", "distinct_captions", "names_emotion")),
            f"{score['words']:.1f}",
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("\n| minus without emotion | alignment | CIDEr-D |\n| --- | --- | --- |")
    for name, difference in results["differences"].items():
        cells = [
            f"{difference[key]['difference']:+.3f} [{difference[key]['low']:+.3f}, {difference[key]['high']:+.3f}]"
            for key in ("alignment", "cider_d")
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    plain = results["trade_off"]["plain"]
    print("\n| guidance | strength | alignment by the judge | CIDEr-D |\n| --- | --- | --- | --- |")
    print(f"| no emotion | | {_interval(plain['judged_alignment'])} | {_interval(plain['cider_d'])} |")
    for point in results["trade_off"]["points"]:
        print(f"| {point['guidance']:g} | {point['strength']:g} ", end="")
        print(f"| {_interval(point['judged_alignment'])} | {_interval(point['cider_d'])} |")


def truth(run: Path) -> None:
    """On the demo: whether captions name the subject of the image, and the true probabilities of their emotions."""
    results = json.loads((run / "captioner" / "captions.json").read_text())
    source = pq.read_table(run / "source.parquet", columns=["image", "caption"]).to_pydict()
    subjects: dict[str, Counter[str | None]] = {}
    for image, caption in zip(source["image"], source["caption"], strict=True):
        subjects.setdefault(image, Counter())[read_caption(caption)[0]] += 1
    emotions = [LABELS.index(entry["emotion"]) for entry in results["captions"]]
    print(
        "| captions | name the subject | in a known tone | truth has the emotion among 3 |\n| --- | --- | --- | --- |"
    )
    for system in SYSTEMS:
        read = [read_caption(entry[system]) for entry in results["captions"]]
        shown = [subjects[entry["image"]].most_common(1)[0][0] for entry in results["captions"]]
        named = np.mean([subject == seen for (subject, _), seen in zip(read, shown, strict=True)])
        probabilities = np.concatenate([_true_probabilities(subject, tone) for subject, tone in read])
        with_tone = np.mean([tone is not None for _, tone in read])
        print(f"| {system} | {named:.3f} | {with_tone:.3f} | {alignment_hits(probabilities, emotions).mean():.3f} |")


def _true_probabilities(subject: str | None, tone: str | None) -> np.ndarray:
    """(1, 29) probability that the target's annotators name each emotion, by the caption's subject and tone."""
    known = subject is not None and tone is not None
    scene = Scene(subject or "dog", "beach", "day", "natural", "none", tone or "plain", names_setting=False)
    return bayes_probabilities([scene], image=False, caption=known)


def ceiling(run: Path) -> None:
    """Alignment of an oracle by each judge: of the human sentences about the subject, one in the tone that most evokes
    the emotion according to the demo's emotion model.
    """
    from emocap.study.config.loading import load_config
    from emocap.study.run import units_of
    from emocap.study.stages import captions as stage

    preset = files("emocap") / "study" / "presets" / "demo-captions.yaml"
    (study,) = units_of(load_config(Path(str(preset)), [f"data_root={run / 'corpora'}"]), run)
    sentences: dict[str, dict[str, list[str]]] = {}
    for caption in dict.fromkeys(study.whole("source").captions):
        subject, tone = read_caption(caption)
        if subject is not None and tone is not None:
            sentences.setdefault(subject, {}).setdefault(tone, []).append(caption)
    generator = np.random.default_rng(0)
    eval_set = stage._eval_set(study, "judge")
    emotions = [LABELS.index(study.vocabulary.labels[number]) for number in eval_set.emotions]
    captions, probabilities = [], []
    for human, emotion in zip(eval_set.human, emotions, strict=True):
        subject = read_caption(human)[0]
        assert subject is not None, "human captions name their subject"
        tone = max(sorted(sentences[subject]), key=lambda tone: _true_probabilities(subject, tone)[0][emotion])
        captions.append(str(generator.choice(sentences[subject][tone])))
        probabilities.append(_true_probabilities(subject, tone))
    print(f"truth: {alignment_hits(np.concatenate(probabilities), emotions).mean():.3f}")
    for name in stage.JUDGES:
        judge, _ = stage._judge(study, name)
        print(f"{name}: {alignment_hits(judge(captions), eval_set.emotions).mean():.3f}")


def speed(run: Path, n_batches: int) -> None:
    """Captions per second in batches of 16 images, and the cost of re-ranking."""
    from emocap.api.captioner import EmotionCaptioner
    from emocap.captioning.generation import CaptionGenerator
    from emocap.regions.store.reader import FeatureStore

    captioner = EmotionCaptioner.from_pretrained(run)
    store = FeatureStore.open(run / "features" / "source")
    features = [store[image][0] for image in store.images[: BATCH * n_batches]]
    generator: CaptionGenerator = captioner._generator
    print(f"{torch.get_num_threads()} threads; {BATCH} images per batch, {n_batches} batches")
    variants: dict[str, dict[str, Any]] = {
        "without guidance": {"guidance": 1.0},
        "guided": {"guidance": 2.0},
        "without guidance, 3 beams": {"guidance": 1.0, "beams": 3},
        "guided, 3 beams": {"guidance": 2.0, "beams": 3},
    }
    generator.generate(features[:BATCH], [[0]] * BATCH)
    for name, options in variants.items():
        start = time.perf_counter()
        for first in range(0, len(features), BATCH):
            generator.generate(features[first : first + BATCH], [[3]] * BATCH, **options)
        print(f"{name}: {len(features) / (time.perf_counter() - start):.1f} captions/s")
    captions = generator.generate(features[:1], [[3]], n=BATCH)[0]
    for name, work in (
        ("likelihood", lambda: generator.mean_log_likelihood([features[0]] * BATCH, captions)),
        ("emotions", lambda: captioner.ranker.probabilities_for(features[0], captions)),
    ):
        start = time.perf_counter()
        for _ in range(n_batches):
            work()
        print(f"re-ranking, {name}: {1e3 * (time.perf_counter() - start) / n_batches / BATCH:.1f} ms a candidate")


def _interval(value: dict[str, float]) -> str:
    return f"{value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("table", "truth", "ceiling", "speed"))
    parser.add_argument("run", type=Path)
    parser.add_argument("-n", type=int, default=4, help="batches to time")
    arguments = parser.parse_args()
    if arguments.what == "speed":
        speed(arguments.run, arguments.n)
    else:
        {"table": table, "truth": truth, "ceiling": ceiling}[arguments.what](arguments.run)
