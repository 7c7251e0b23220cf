"""The captions of a run: tables for docs/RESULTS.md, the truth on the demo's pictures, and how fast they are written.

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

from emocap.captioning.scores import aligned
from emocap.demo.feelings import LABELS, bayes_probabilities
from emocap.demo.scene import Scene
from emocap.demo.wording import read_caption

BATCH = 16
SYSTEMS = ("without emotion", "emotion, not guided", "guided", "guided and re-ranked", "nearest picture's", "people")


def table(run: Path) -> None:
    """Every system's scores, differences, the judge and the trade-off, as Markdown."""
    found = json.loads((run / "captioner" / "captions.json").read_text())
    print(f"{found['n_images']} pictures; guidance {found['guidance']}, strength {found['strength']}, ", end="")
    print(f"best of {found['candidates']}; judge {found['judge']}\n")
    print("| captions | alignment | each emotion alike | CIDEr-D | BLEU-4 | ROUGE-L | distinct | names it | words |")
    print("| --- |" + " --- |" * 8)
    for name, score in found["systems"].items():
        cells = [
            _interval(score["alignment"]),
            _interval(score["alignment_by_emotion"]),
            _interval(score["cider_d"]),
            *(f"{score[key]:.3f}" for key in ("bleu_4", "rouge_l", "distinct_captions", "names_emotion")),
            f"{score['words']:.1f}",
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("\n| minus without emotion | alignment | CIDEr-D |\n| --- | --- | --- |")
    for name, difference in found["differences"].items():
        cells = [
            f"{difference[key]['difference']:+.3f} [{difference[key]['low']:+.3f}, {difference[key]['high']:+.3f}]"
            for key in ("alignment", "cider_d")
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    plain = found["trade_off"]["plain"]
    print("\n| guidance | strength | judged alignment | CIDEr-D |\n| --- | --- | --- | --- |")
    print(f"| no emotion | | {_interval(plain['judged_alignment'])} | {_interval(plain['cider_d'])} |")
    for point in found["trade_off"]["points"]:
        print(f"| {point['guidance']:g} | {point['strength']:g} ", end="")
        print(f"| {_interval(point['judged_alignment'])} | {_interval(point['cider_d'])} |")


def truth(run: Path) -> None:
    """On the demo: does a caption name what is in the picture, and what would people feel by the written-down model."""
    found = json.loads((run / "captioner" / "captions.json").read_text())
    source = pq.read_table(run / "source.parquet", columns=["image", "caption"]).to_pydict()
    subjects: dict[str, Counter[str | None]] = {}
    for image, caption in zip(source["image"], source["caption"], strict=True):
        subjects.setdefault(image, Counter())[read_caption(caption)[0]] += 1
    wanted = [LABELS.index(entry["emotion"]) for entry in found["captions"]]
    print(
        "| captions | name the subject | in a known tone | truth has the emotion among 3 |\n| --- | --- | --- | --- |"
    )
    for system in SYSTEMS:
        read = [read_caption(entry[system]) for entry in found["captions"]]
        shown = [subjects[entry["image"]].most_common(1)[0][0] for entry in found["captions"]]
        named = np.mean([subject == seen for (subject, _), seen in zip(read, shown, strict=True)])
        feelings = np.concatenate([_feelings(subject, tone) for subject, tone in read])
        told = np.mean([tone is not None for _, tone in read])
        print(f"| {system} | {named:.3f} | {told:.3f} | {aligned(feelings, wanted).mean():.3f} |")


def _feelings(subject: str | None, tone: str | None) -> np.ndarray:
    """(1, 29) chance that the target's annotators name each emotion, by what the caption tells."""
    known = subject is not None and tone is not None
    scene = Scene(subject or "dog", "beach", "day", "natural", "none", tone or "plain", names_setting=False)
    return bayes_probabilities([scene], image=False, caption=known)


def ceiling(run: Path) -> None:
    """What the judges say of a writer who knows the truth: of the sentences that people wrote of the subject, one in
    the tone that most evokes the emotion by the written-down model.
    """
    from emocap.study.config.loading import load_config
    from emocap.study.run import units_of
    from emocap.study.stages.training import captions as caption_judging

    preset = files("emocap") / "study" / "presets" / "demo-captions.yaml"
    (study,) = units_of(load_config(Path(str(preset)), [f"data_root={run / 'corpora'}"]), run)
    sentences: dict[str, dict[str, list[str]]] = {}
    for caption in dict.fromkeys(study.whole("source").captions):
        subject, tone = read_caption(caption)
        if subject is not None and tone is not None:
            sentences.setdefault(subject, {}).setdefault(tone, []).append(caption)
    generator = np.random.default_rng(0)
    bench = caption_judging._eval_set(study, "judge")
    wanted = [LABELS.index(study.vocabulary.labels[number]) for number in bench.wanted]
    written, feelings = [], []
    for human, emotion in zip(bench.human, wanted, strict=True):
        subject = read_caption(human)[0]
        assert subject is not None, "people name their subject"
        tone = max(sorted(sentences[subject]), key=lambda tone: _feelings(subject, tone)[0][emotion])
        written.append(str(generator.choice(sentences[subject][tone])))
        feelings.append(_feelings(subject, tone))
    print(f"truth: {aligned(np.concatenate(feelings), wanted).mean():.3f}")
    for name in caption_judging.JUDGES:
        judge, _ = caption_judging._judge(study, name)
        print(f"{name}: {aligned(judge(written), bench.wanted).mean():.3f}")


def speed(run: Path, n_batches: int) -> None:
    """Captions per second in batches of 16 pictures, and what re-ranking costs."""
    from emocap.api.captioner import EmotionCaptioner
    from emocap.captioning.generation import CaptionGenerator
    from emocap.regions.store.reader import FeatureStore

    captioner = EmotionCaptioner.from_pretrained(run)
    store = FeatureStore.open(run / "features" / "source")
    features = [store[image][0] for image in store.images[: BATCH * n_batches]]
    writer: CaptionGenerator = captioner._writer
    print(f"{torch.get_num_threads()} threads; {BATCH} pictures a batch, {n_batches} batches")
    ways: dict[str, dict[str, Any]] = {
        "as learnt": {"guidance": 1.0},
        "guided": {"guidance": 2.0},
        "as learnt, 3 beams": {"guidance": 1.0, "beams": 3},
        "guided, 3 beams": {"guidance": 2.0, "beams": 3},
    }
    writer.write(features[:BATCH], [[0]] * BATCH)
    for name, how in ways.items():
        start = time.perf_counter()
        for first in range(0, len(features), BATCH):
            writer.write(features[first : first + BATCH], [[3]] * BATCH, **how)
        print(f"{name}: {len(features) / (time.perf_counter() - start):.1f} captions/s")
    captions = writer.write(features[:1], [[3]], n=BATCH)[0]
    for name, work in (
        ("likelihood", lambda: writer.likelihood([features[0]] * BATCH, captions)),
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
