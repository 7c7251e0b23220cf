"""The captions of a run: tables for docs/RESULTS.md, the ground truth on the demo's images, and generation speed.

python benchmarks/captions.py table runs/demo-captions
python benchmarks/captions.py gallery runs/flickr8k-styles -n 4
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

from emocap.captioning.judging import JUDGES
from emocap.captioning.scores import alignment_hits
from emocap.captioning.system_names import SYSTEMS
from emocap.demo.effects import LABELS
from emocap.demo.feelings import bayes_probabilities
from emocap.demo.scene import Scene
from emocap.demo.wording import read_caption

BATCH = 16
PERCEIVED = ("judge", "without punctuation", "25 key words", "margin", "smallest shown")


def table(run: Path) -> None:
    """Everything that was measured of a run's captions, as Markdown."""
    results = json.loads((run / "captioner" / "captions.json").read_text())
    print(f"{results['n_images']} images; guidance {results['guidance']}, strength {results['strength']}, ", end="")
    print(f"best of {results['candidates']}; judge {results['judge']}\n")
    _print_systems(results)
    if results.get("perception"):
        _print_perception(results["perception"])
    if results.get("styles"):
        _print_styles(results["styles"])
    for name, other in results["other_judges"].items():
        print(f"\n| by the judge {name} | by lift | by probability |\n| --- | --- | --- |")
        for system, score in other["systems"].items():
            print(f"| {system} | {_interval(score.get('lift_alignment'))} | {_interval(score['alignment'])} |")
    _print_trade_off(results["trade_off"])
    for item in results["gallery"]:
        print(f"\n| {item['image']} | caption |\n| --- | --- |\n| human | {item['human']} |")
        print(f"| without emotion | {item['without_emotion']} |")
        for own in item["captions"]:
            print(f"| {own['emotion']} | {own['caption']} |")
        for own in item.get("styles", []):
            print(f"| {own['style']} | {own['caption']} |")


def _print_systems(results: dict[str, Any]) -> None:
    """Scores of every system, differences from the captioner without an emotion, and scores by all references."""
    names = ("lift_alignment", "alignment", "alignment_by_emotion", "cider_d", "noun_faithfulness")
    _head("captions", "by lift", "by probability", "macro", "CIDEr-D", "nouns", "BLEU-4", "ROUGE-L", "distinct",
          "names the emotion", "words")  # fmt: skip
    for name, score in results["systems"].items():
        cells = [
            *(_interval(score.get(key)) for key in names),
            *(f"{score[key]:.3f}" for key in ("bleu_4", "rouge_l", "distinct_captions", "names_emotion")),
            f"{score['words']:.1f}",
        ]
        _row(name, *cells)
    _head("minus without emotion", "by lift", "by probability", "CIDEr-D", "share of CIDEr-D", "nouns")
    for name, own in results["differences"].items():
        share = own.get("cider_d_share")
        _row(
            name,
            *(_difference(own.get(key)) for key in ("lift_alignment", "alignment", "cider_d")),
            _interval(share and {"mean": share["share"], **share}),
            _difference(own.get("noun_faithfulness")),
        )
    _head("against all factual captions", "CIDEr-D", "BLEU-4", "ROUGE-L")
    for name, score in results["systems"].items():
        if every := score.get("all_references"):
            _row(name, *(f"{every[key]:.3f}" for key in ("cider_d", "bleu_4", "rouge_l")))


def _print_perception(perception: dict[str, Any]) -> None:
    print(f"\nThe emotion among the {perception['k']} of highest lift; chance {perception['chance']:.3f}")
    _head("captions", *PERCEIVED)
    for name, own in perception["systems"].items():
        _row(name, *_perceived(own))
    _row(f"{perception['labelled']['n_captions']} captions of people with known emotions",
         *_perceived(perception["labelled"]))  # fmt: skip
    if "paired" in perception:
        _row("two emotions, one image", *_perceived(perception["paired"]))
    _head("minus without emotion, by lift", "difference", "smallest shown")
    for name, own in perception["gains"].items():
        _row(name, _difference(own), _number(own["minimum_detectable"]))
    above = perception["above_labelled"]
    _row("guided and re-ranked minus the ceiling", _difference(above), _number(above["minimum_detectable"]))
    print(f"\nchanged by blanking the image: {_interval(perception.get('changed_by_blanking'))}")


def _print_styles(styles: dict[str, Any]) -> None:
    print(f"\nStyles {', '.join(styles['styles'])}; judge {styles['judge']}; chance {styles['chance']:.3f}")
    _head("captions", *PERCEIVED)
    _row("captioner", *_perceived(styles["captioner"]))
    _row("people", *_perceived(styles["human"]))
    for name, own in styles["paired"].items():
        _row(f"two styles, one image: {name}", *_perceived(own))
    above = styles["above_human"]
    print(f"\ncaptioner minus people: {_difference(above)}, smallest shown {_number(above['minimum_detectable'])}")
    _head(
        "style", "CIDEr-D", "minus without style", "nouns", "minus without style", "people's CIDEr-D", "people's nouns"
    )
    for style, own in styles["content"].items():
        human, differences = styles["human_content"].get(style, {}), own["differences"]
        _row(
            style,
            _interval(own["cider_d"]),
            _difference(differences.get("cider_d")),
            _interval(own.get("noun_faithfulness")),
            _difference(differences.get("noun_faithfulness")),
            _interval(human.get("cider_d")),
            _interval(human.get("noun_faithfulness")),
        )
    for style, words in styles["key_words"].items():
        print(f"\nkey words of {style}: {', '.join(words)}")


def _print_trade_off(trade_off: dict[str, Any]) -> None:
    print(f"\non {trade_off['n_images']} other images:")
    names = ("judged_lift_alignment", "judged_alignment", "cider_d")
    _head("guidance", "strength", "by the judge's lift", "by its probability", "CIDEr-D")
    _row("no emotion", "", *(_interval(trade_off["plain"].get(name)) for name in names))
    for point in trade_off["points"]:
        _row(f"{point['guidance']:g}", f"{point['strength']:g}", *(_interval(point.get(name)) for name in names))


def _perceived(own: dict[str, Any]) -> list[str]:
    shares = [_interval(own[key]) for key in ("judge", "judge_without_punctuation", "key_words")]
    return [*shares, _difference(own["margin"]), _number(own["margin"]["minimum_detectable"])]


def _head(*names: str) -> None:
    print("\n| " + " | ".join(names) + " |\n|" + " --- |" * len(names))


def _row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |")


def gallery(run: Path, n_images: int) -> None:
    """The captions of the first photographs of the report's gallery, with their pages on Flickr, as Markdown."""
    results = json.loads((run / "captioner" / "captions.json").read_text())
    image_of = {(entry["human"], entry["without emotion"]): entry["image"] for entry in results["captions"]}
    for number, item in enumerate(results["gallery"][:n_images]):
        asked = [(own["emotion"], own["caption"]) for own in item["captions"]]
        asked += [(own["style"], own["caption"]) for own in item.get("styles", [])]
        if number == 0:
            _head("photograph", "asked for nothing", *(what for what, _ in asked))
        photograph = Path(image_of[item["human"], item["without_emotion"]]).name.split("_")[0]
        link = f"[{photograph}](https://www.flickr.com/photo.gne?id={photograph})"
        _row(link, item["without_emotion"], *(caption for _, caption in asked))


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
        if system not in results["captions"][0]:
            continue
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
    for name in JUDGES:
        judge, _ = stage._judge(study, name, study.pairs("source").captions[:2000])
        by_lift, by_probability = judge.lift(captions), judge.probabilities(captions)
        hits = [alignment_hits(scores, eval_set.emotions).mean() for scores in (by_lift, by_probability)]
        print(f"{name}: {hits[0]:.3f} by lift, {hits[1]:.3f} by probability")


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


def _interval(value: dict[str, float] | None) -> str:
    return f"{value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}]" if value else "–"


def _difference(value: dict[str, float] | None) -> str:
    return f"{value['difference']:+.3f} [{value['low']:+.3f}, {value['high']:+.3f}]" if value else "–"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("table", "gallery", "truth", "ceiling", "speed"))
    parser.add_argument("run", type=Path)
    parser.add_argument("-n", type=int, default=4, help="batches to time, or photographs to show")
    arguments = parser.parse_args()
    if arguments.what in ("speed", "gallery"):
        {"speed": speed, "gallery": gallery}[arguments.what](arguments.run, arguments.n)
    else:
        {"table": table, "truth": truth, "ceiling": ceiling}[arguments.what](arguments.run)
