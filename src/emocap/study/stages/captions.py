"""The captioner judged on pictures that no model of the study has seen.

The first half of the held-out images decides how strong the emotions are made, the second half is judged. The judges
read captions alone and are fitted to the target's test pairs, which none of the study's models saw: words, or sentence
vectors, with logistic regression. Words are the safer judge, since sentence vectors may come from the backbone itself.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emocap.captioning.checkpoint import CHOICE, RANKER, GenerationConfig, load_captioner
from emocap.captioning.generation import CaptionGenerator, in_batches
from emocap.captioning.metrics import cider_d
from emocap.captioning.rerank import rerank
from emocap.captioning.scores import N_BOOTSTRAP, aligned, estimate, most_aligned, score_captions, summarise
from emocap.devices import best_device
from emocap.evaluation.baselines import PredictFunction, fit_baseline
from emocap.evaluation.ranking_metrics import mean_average_precision, recall_at_k, top_k_accuracy
from emocap.evaluation.sentence_vectors import sentence_vectors
from emocap.files import atomic_folder, write_json
from emocap.progress import track
from emocap.study.artifacts import read_value
from emocap.study.config.captioner import CaptionerConfig
from emocap.study.gallery import thumbnail
from emocap.study.stages.captioner import RUN
from emocap.study.training_unit import TrainingUnit
from emocap.training.checkpoint import SavedModel
from emocap.training.predict import predict_captions

logger = logging.getLogger("emocap")
JUDGES = ("tfidf", "vectors")
PLAIN = "without emotion"
MOST_THE_SAME = 0.9
BATCH = 16
SHOWN = 6
EMOTIONS_SHOWN = 4


@dataclass
class EvalSet:
    """N held-out pictures with what people wrote, and the emotion that each is asked for.

    Attributes:
        images: N keys.
        references: N lists of captions; the first of each stands for people and is no reference.
        features: N times (R, D), or None.
        wanted: N emotion numbers.
    """

    images: list[str]
    human: list[str]
    references: list[list[str]]
    features: list[np.ndarray | None]
    wanted: list[int]


def captions(study: TrainingUnit) -> None:
    """Find how strong the emotions are to be made, judge the captions, and keep what was found beside the captioner."""
    settings = study.config.captioner
    assert settings is not None, "the stage exists only where there is a captioner"
    folder = study.folder(RUN)
    saved, ranker = load_captioner(folder), study.load("AnB+")
    writer, labels = saved.writer(best_device()), study.vocabulary.labels
    judges = {name: _judge(study, name) for name in (settings.judge, *(n for n in JUDGES if n != settings.judge))}
    judge, told = judges.pop(settings.judge)
    choosing, judging = (_eval_set(study, part) for part in ("choose", "judge"))
    found, choice = _choose(settings, labels, writer, ranker, choosing, judge, study.seed)
    systems = _systems(study, settings, choice, writer, ranker, judging)
    if (same := _share_of_same(systems["emotion, not guided"], systems[PLAIN])) > MOST_THE_SAME:
        logger.warning(
            "captions: %.0f%% are the same with the emotion as without; the captioner does not hear it, train it "
            "longer or with a lower captioner.training.learning_rate",
            100 * same,
        )
    scored = _scored(study, systems, judging, judge)
    others = {
        name: {"judge": about} | _score_with_judge(study, systems, judging, other)
        for name, (other, about) in judges.items()
    }
    written = [
        {"image": image, "emotion": labels[want], **{name: systems[name][row] for name in systems}}
        for row, (image, want) in enumerate(zip(judging.images, judging.wanted, strict=True))
    ]
    found |= {"schema": 1, "judge": told, **scored, "other_judges": others, "captions": written}
    found |= {**asdict(choice), "candidates": settings.candidates, "max_loss": settings.max_loss}
    with atomic_folder(folder / "gallery") as gallery:
        found["gallery"] = _gallery(study, settings, choice, writer, ranker, judging, gallery)
    with atomic_folder(folder / "model" / RANKER) as copy:
        shutil.copytree(ranker.folder, copy, dirs_exist_ok=True)
    write_json(folder / "model" / CHOICE, asdict(choice))
    write_json(folder / "captions.json", found)


def _judge(study: TrainingUnit, name: str) -> tuple[PredictFunction, dict[str, Any]]:
    """A model of the target's test captions, and how good it is on the others."""
    pairs, truth = study.part("test"), study.truth("test")
    order = np.random.default_rng([study.seed, 6]).permutation(len(pairs))
    fitted, tuned = np.sort(order[len(order) // 5 :]), np.sort(order[: len(order) // 5])
    embed = sentence_vectors(study.config.baselines.vectors) if name == "vectors" else None
    answer = fit_baseline(
        name,
        [pairs.captions[row] for row in fitted],
        truth[fitted],
        [pairs.captions[row] for row in tuned],
        truth[tuned],
        embed=embed,
        seed=study.seed,
    )
    others = [*study.part("train").captions, *study.part("validation").captions]
    targets = np.concatenate([study.truth("train"), study.truth("validation")])
    prior = np.tile(truth[fitted].mean(axis=0), (len(others), 1))
    scores = {
        model: {
            "top1_accuracy": top_k_accuracy(given, targets, 1),
            "top3_accuracy": top_k_accuracy(given, targets, min(3, targets.shape[1])),
            "recall_at_3": recall_at_k(given, targets, min(3, targets.shape[1])),
            "mean_average_precision": mean_average_precision(given, targets),
        }
        for model, given in (("judge", answer(others)), ("prior", prior))
    }
    return answer, {
        "model": name,
        "n_train_pairs": len(fitted),
        "n_test_pairs": len(others),
        "scores": scores["judge"],
        "prior": scores["prior"],
    }


def _eval_set(study: TrainingUnit, part: str) -> EvalSet:
    images = read_value(study.run / "caption_images.json", part)
    source, store = study.whole("source"), study.store("source")
    captions: dict[str, list[str]] = {image: [] for image in images}
    for image, caption in zip(source.images, source.captions, strict=True):
        if image in captions:
            captions[image].append(caption)
    shares = study.truth("train").sum(axis=0).astype(np.float64)
    generator = np.random.default_rng([study.seed, 7 if part == "choose" else 8])
    return EvalSet(
        images=images,
        human=[captions[image][0] for image in images],
        references=[captions[image][1:] for image in images],
        features=[store[image][0] if store is not None and image in store else None for image in images],
        wanted=generator.choice(len(shares), len(images), p=shares / shares.sum()).tolist(),
    )


def _choose(
    settings: CaptionerConfig,
    labels: Sequence[str],
    writer: CaptionGenerator,
    ranker: SavedModel,
    eval_set: EvalSet,
    judge: PredictFunction,
    seed: int,
) -> tuple[dict[str, Any], GenerationConfig]:
    """Every strength of guidance and re-ranking tried on images of their own; the ranker, not the judge, decides."""
    plain = _likeliest(_candidates(writer, eval_set, [[] for _ in eval_set.images], 1.0, settings.candidates))
    draws = np.random.default_rng(seed).integers(len(eval_set.images), size=(N_BOOTSTRAP, len(eval_set.images)))
    without = {
        "cider_d": estimate(cider_d(plain, eval_set.references), draws),
        "judged_alignment": estimate(aligned(judge(plain), eval_set.wanted), draws),
    }
    reference = without["cider_d"]["mean"]
    wanted = [[emotion] for emotion in eval_set.wanted]
    points: list[dict[str, Any]] = []
    for guidance in track(settings.guidance, "captions: guidance", len(settings.guidance), "strengths"):
        written = _candidates(writer, eval_set, wanted, guidance, settings.candidates)
        judged = _rank_probabilities(ranker, eval_set, [found for found, _ in written])
        for strength in settings.strength:
            places = [
                rerank(found, p, labels, want, faithfulness=likely, strength=strength)[0].number
                for (found, likely), p, want in zip(written, judged, wanted, strict=True)
            ]
            texts = [found[place] for (found, _), place in zip(written, places, strict=True)]
            own = np.stack([p[place] for p, place in zip(judged, places, strict=True)])
            points.append(
                {
                    "guidance": guidance,
                    "strength": strength,
                    "alignment": estimate(aligned(own, eval_set.wanted), draws),
                    "judged_alignment": estimate(aligned(judge(texts), eval_set.wanted), draws),
                    "cider_d": estimate(cider_d(texts, eval_set.references), draws),
                }
            )
    tried = [{key: point[key]["mean"] for key in ("alignment", "cider_d")} for point in points]
    number = most_aligned(tried, reference, settings.max_loss)
    best = points[number]
    if tried[number]["cider_d"] < (1 - settings.max_loss) * reference:
        logger.warning(
            "captions: no strength keeps the loss of CIDEr-D within %.0f%%; guidance %g and strength %g lose least",
            100 * settings.max_loss,
            best["guidance"],
            best["strength"],
        )
    trade_off = {
        "n_images": len(eval_set.images),
        "plain": without,
        "points": points,
    }
    return {"trade_off": trade_off}, GenerationConfig(best["guidance"], best["strength"])


def _systems(
    study: TrainingUnit,
    settings: CaptionerConfig,
    choice: GenerationConfig,
    writer: CaptionGenerator,
    ranker: SavedModel,
    eval_set: EvalSet,
) -> dict[str, list[str]]:
    """Every way to a caption, one caption for each picture."""
    wanted, labels = [[emotion] for emotion in eval_set.wanted], study.vocabulary.labels
    written = _candidates(writer, eval_set, wanted, choice.guidance, settings.candidates)
    judged = _rank_probabilities(ranker, eval_set, [found for found, _ in written])
    return {
        PLAIN: _likeliest(_candidates(writer, eval_set, [[] for _ in wanted], 1.0, settings.candidates)),
        "emotion, not guided": _likeliest(_candidates(writer, eval_set, wanted, 1.0, settings.candidates)),
        "guided": _likeliest(written),
        "guided and re-ranked": [
            rerank(found, p, labels, want, faithfulness=likely, strength=choice.strength)[0].caption
            for (found, likely), p, want in zip(written, judged, wanted, strict=True)
        ],
        "nearest picture's": _nearest(study, eval_set),
        "people": eval_set.human,
    }


def _share_of_same(texts: Sequence[str], others: Sequence[str]) -> float:
    return sum(one == other for one, other in zip(texts, others, strict=True)) / len(texts)


def _scored(
    study: TrainingUnit, systems: dict[str, list[str]], eval_set: EvalSet, judge: PredictFunction
) -> dict[str, Any]:
    labels = study.vocabulary.labels
    scores = {
        name: score_captions(texts, eval_set.references, eval_set.wanted, judge(texts), labels)
        for name, texts in systems.items()
    }
    summary, differences = summarise(scores, PLAIN, seed=study.seed)
    return {"n_images": len(eval_set.images), "systems": summary, "differences": differences}


def _score_with_judge(
    study: TrainingUnit, systems: dict[str, list[str]], eval_set: EvalSet, judge: PredictFunction
) -> dict[str, Any]:
    """What another judge says of the same captions: alignments and their differences alone."""
    hits = {name: {"alignment": aligned(judge(texts), eval_set.wanted)} for name, texts in systems.items()}
    summary, differences = summarise(hits, PLAIN, seed=study.seed)
    return {"systems": summary, "differences": differences}


def _candidates(
    writer: CaptionGenerator, eval_set: EvalSet, wanted: Sequence[Sequence[int]], guidance: float, n: int
) -> list[tuple[list[str], np.ndarray]]:
    """N times the distinct candidates and their (n,) faithfulness."""
    found: list[tuple[list[str], np.ndarray]] = []
    for number, rows in enumerate(in_batches(len(wanted), BATCH)):
        written = writer.write(eval_set.features[rows], wanted[rows], n=n, guidance=guidance, seed=number)
        for features, captions in zip(eval_set.features[rows], written, strict=True):
            distinct = [caption for caption in dict.fromkeys(captions) if caption] or captions[:1]
            found.append((distinct, writer.likelihood([features], distinct)))
    return found


def _likeliest(candidates: Sequence[tuple[list[str], np.ndarray]]) -> list[str]:
    """Of each picture's candidates the most faithful one, whatever it evokes."""
    return [captions[int(np.argmax(likely))] for captions, likely in candidates]


def _rank_probabilities(ranker: SavedModel, eval_set: EvalSet, candidates: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """N times (n, E): what the study's own classifier says of each picture with each candidate."""
    captions = [caption for found in candidates for caption in found]
    features = [eval_set.features[row] for row, found in enumerate(candidates) for _ in found]
    probabilities = predict_captions(ranker, features, captions, 64, "captions: re-ranking")
    ends = np.cumsum([len(found) for found in candidates])
    return np.split(probabilities, ends[:-1])


def _nearest(study: TrainingUnit, eval_set: EvalSet) -> list[str]:
    """For each picture a caption of the one that looks most like it, by the mean of its regions."""
    pairs, store = study.pairs("source"), study.store("source")
    first: dict[str, str] = {}
    for image, caption in zip(pairs.images, pairs.captions, strict=True):
        if store is not None and image in store:
            first.setdefault(image, caption)
    if not first:
        return [pairs.captions[0]] * len(eval_set.images)
    assert store is not None, "its images were found in it"
    known = np.stack([_unit(store[image][0]) for image in first])
    captions = list(first.values())
    return [
        captions[int(np.argmax(known @ _unit(features)))] if features is not None else captions[0]
        for features in eval_set.features
    ]


def _unit(features: np.ndarray) -> np.ndarray:
    mean = features.astype(np.float32).mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def _gallery(
    study: TrainingUnit,
    settings: CaptionerConfig,
    choice: GenerationConfig,
    writer: CaptionGenerator,
    ranker: SavedModel,
    eval_set: EvalSet,
    folder: Path,
) -> list[dict[str, Any]]:
    """A few pictures with captions for several emotions side by side: those the target names most, one of each kind."""
    root = study.whole("source").image_root
    frequent = np.argsort(-study.truth("train").sum(axis=0), kind="stable")
    spread = [int(frequent[i]) for i in np.linspace(0, len(frequent) - 1, EMOTIONS_SHOWN).round().astype(int)]
    rows = [row for row, features in enumerate(eval_set.features) if features is not None][:SHOWN] or [0]
    found = []
    for number, row in enumerate(rows, 1):
        one = EvalSet(
            [eval_set.images[row]], [eval_set.human[row]], [eval_set.references[row]], [eval_set.features[row]], [0]
        )
        (plain,) = _likeliest(_candidates(writer, one, [[]], 1.0, settings.candidates))
        entry: dict[str, Any] = {"image": None, "people": eval_set.human[row], "without": plain, "captions": []}
        if thumbnail(root, eval_set.images[row], folder / f"{number:02d}.jpg"):
            entry["image"] = f"captioner/gallery/{number:02d}.jpg"
        for emotion in dict.fromkeys(spread):
            (written,) = _candidates(writer, one, [[emotion]], choice.guidance, settings.candidates)
            (judged,) = _rank_probabilities(ranker, one, [written[0]])
            best = rerank(
                written[0],
                judged,
                study.vocabulary.labels,
                [emotion],
                faithfulness=written[1],
                strength=choice.strength,
            )[0]
            entry["captions"].append(
                {"emotion": study.vocabulary.labels[emotion], "caption": best.caption, "probability": best.probability}
            )
        found.append(entry)
    return found
