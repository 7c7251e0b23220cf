"""The study's captioner: trained on the pseudo-labelled source, and judged on pictures that nothing has seen.

The first half of the held-out images decides how strong the emotions are made, the second half is judged. The judge is
another kind of model, fitted to the target's test pairs alone, which none of the study's models saw.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from emocap.evaluation.baselines import Answer, fit_baseline
from emocap.evaluation.caption_scores import aligned, knee, score_captions, summarise
from emocap.evaluation.captions import cider_d
from emocap.evaluation.metrics import mean_average_precision, recall_at_k, top_k_accuracy
from emocap.evaluation.rerank import rerank
from emocap.evaluation.sentence_vectors import sentence_vectors
from emocap.files import whole_folder, write_json
from emocap.models.captioner import build_captioner
from emocap.progress import track
from emocap.study.config import CaptionerConfig
from emocap.study.gallery import thumbnail
from emocap.study.stages import selected
from emocap.study.study import Study, read_value
from emocap.training.batching import PairDataset
from emocap.training.captioner_folder import RANKER, CaptionerCard, save_captioner
from emocap.training.captioning import CaptionDataset, Prompts, caption_loss
from emocap.training.checkpoint import SavedModel
from emocap.training.predict import best_device, predict_probabilities
from emocap.training.train import discard_checkpoints, train
from emocap.training.writing import Writer, in_batches

logger = logging.getLogger("emocap")
RUN = "captioner"
BATCH = 16
SHOWN = 6
EMOTIONS_SHOWN = 4


@dataclass
class Bench:
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


def captioner(study: Study) -> None:
    """Train the captioner, find how strong the emotions are to be made, and judge it."""
    settings = study.config.captioner
    assert settings is not None, "the stage exists only where there is a captioner"
    folder = study.folder(RUN)
    model, tokenizer, card, history = _trained(study, settings)
    writer = Writer(model, tokenizer, Prompts.of(card.labels, tokenizer), card.max_length, best_device())
    ranker = study.load("AnB+")
    judge, accuracy = _judge(study, settings)
    choosing, judging = (_bench(study, part) for part in ("choose", "judge"))
    found, card = _choose(settings, card, writer, ranker, choosing, judge)
    found |= _judged(study, card, writer, ranker, judging, judge)
    found |= {"schema": 1, "judge": accuracy, "guidance": card.guidance, "strength": card.strength}
    found |= {"candidates": card.candidates, "max_loss": settings.max_loss}
    with whole_folder(folder / "gallery") as gallery:
        found["gallery"] = _gallery(study, card, writer, ranker, judging, gallery)
    save_captioner(folder / "model", writer.model.to("cpu"), tokenizer, card)
    shutil.copytree(ranker.folder, folder / "model" / RANKER)
    write_json(folder / "captions.json", found)
    write_json(folder / "history.json", history)
    discard_checkpoints(folder)


def _trained(study: Study, settings: CaptionerConfig) -> tuple[Any, Any, CaptionerCard, dict[str, Any]]:
    sample, targets = selected(study)
    saved = study.load("student")
    backbone, tokenizer = study.fresh_model(study.seed)
    model = build_captioner(
        *(saved.model.visualbert, backbone.visualbert, tokenizer), layers=settings.decoder_layers, seed=study.seed + 4
    )
    data = CaptionDataset.of(
        *(sample, targets, Prompts.of(study.vocabulary.labels, tokenizer), tokenizer),
        max_length=study.config.model.max_length,
        store=study.store("source"),
        drop=settings.drop_emotions,
    )
    history = train(
        *(model, data, None, settings.training, study.folder(RUN)),
        name=RUN,
        seed=study.seed,
        metrics=None,
        collate=data.collate,
        lengths=data.lengths,
        loss=caption_loss,
    )
    card = CaptionerCard(
        labels=list(study.vocabulary.labels),
        vocabulary=study.vocabulary.hash,
        max_length=study.config.model.max_length,
        features=saved.card.features,
        candidates=settings.candidates,
        training=saved.card.training,
    )
    return model, tokenizer, card, history


def _judge(study: Study, settings: CaptionerConfig) -> tuple[Answer, dict[str, Any]]:
    """A model of the target's test captions, and how good it is on the others."""
    pairs, truth = study.part("test"), study.truth("test")
    order = np.random.default_rng([study.seed, 6]).permutation(len(pairs))
    fitted, tuned = np.sort(order[len(order) // 5 :]), np.sort(order[: len(order) // 5])
    embed = sentence_vectors(study.config.baselines.vectors) if settings.judge == "vectors" else None
    answer = fit_baseline(
        settings.judge,
        *([pairs.captions[row] for row in fitted], truth[fitted]),
        *([pairs.captions[row] for row in tuned], truth[tuned]),
        embed=embed,
        seed=study.seed,
    )
    others = [*study.part("train").captions, *study.part("validation").captions]
    targets = np.concatenate([study.truth("train"), study.truth("validation")])
    prior = np.tile(truth[fitted].mean(axis=0), (len(others), 1))
    scores = {
        name: {
            "top1_accuracy": top_k_accuracy(given, targets, 1),
            "top3_accuracy": top_k_accuracy(given, targets, min(3, targets.shape[1])),
            "recall_at_3": recall_at_k(given, targets, min(3, targets.shape[1])),
            "mean_average_precision": mean_average_precision(given, targets),
        }
        for name, given in (("judge", answer(others)), ("prior", prior))
    }
    return answer, {
        "model": settings.judge,
        "n_train_pairs": len(fitted),
        "n_test_pairs": len(others),
        "scores": scores["judge"],
        "prior": scores["prior"],
    }


def _bench(study: Study, part: str) -> Bench:
    images = read_value(study.run / "caption_images.json", part)
    source, store = study.whole("source"), study.store("source")
    captions: dict[str, list[str]] = {image: [] for image in images}
    for image, caption in zip(source.images, source.captions, strict=True):
        if image in captions:
            captions[image].append(caption)
    shares = study.truth("train").sum(axis=0).astype(np.float64)
    generator = np.random.default_rng([study.seed, 7, len(part)])
    return Bench(
        images=images,
        human=[captions[image][0] for image in images],
        references=[captions[image][1:] for image in images],
        features=[store[image][0] if store is not None and image in store else None for image in images],
        wanted=generator.choice(len(shares), len(images), p=shares / shares.sum()).tolist(),
    )


def _choose(
    settings: CaptionerConfig,
    card: CaptionerCard,
    writer: Writer,
    ranker: SavedModel,
    bench: Bench,
    judge: Answer,
) -> tuple[dict[str, Any], CaptionerCard]:
    """Every strength of guidance and re-ranking tried on images of their own; the ranker, not the judge, decides."""
    plain = _likeliest(_candidates(writer, bench, [[] for _ in bench.images], 1.0, settings.candidates))
    reference = float(cider_d(plain, bench.references).mean())
    points: list[dict[str, float]] = []
    for guidance in track(settings.guidance, "captioner: guidance", len(settings.guidance), "strengths"):
        wanted = [[emotion] for emotion in bench.wanted]
        written = _candidates(writer, bench, wanted, guidance, settings.candidates)
        judged = _rank_probabilities(ranker, bench, [found for found, _ in written])
        for strength in settings.strength:
            picked = [
                rerank(found, p, card.labels, want, faithfulness=likely, strength=strength)[0]
                for (found, likely), p, want in zip(written, judged, wanted, strict=True)
            ]
            captions = [one.caption for one in picked]
            own = np.stack([p[one.number] for p, one in zip(judged, picked, strict=True)])
            points.append(
                {
                    "guidance": guidance,
                    "strength": strength,
                    "alignment": float(aligned(own, bench.wanted).mean()),
                    "judged_alignment": float(aligned(judge(captions), bench.wanted).mean()),
                    "cider_d": float(cider_d(captions, bench.references).mean()),
                }
            )
    best = points[knee(points, reference, settings.max_loss)]
    without = float(aligned(judge(plain), bench.wanted).mean())
    found = {
        "trade_off": {
            "n_images": len(bench.images),
            "plain": {"cider_d": reference, "judged_alignment": without},
            "points": points,
        }
    }
    return found, replace(card, guidance=best["guidance"], strength=best["strength"])


def _judged(
    study: Study, card: CaptionerCard, writer: Writer, ranker: SavedModel, bench: Bench, judge: Answer
) -> dict[str, Any]:
    """Every way to a caption on the pictures that are left, one caption each."""
    wanted = [[emotion] for emotion in bench.wanted]
    none: list[list[int]] = [[] for _ in wanted]
    written = _candidates(writer, bench, wanted, card.guidance, card.candidates)
    judged = _rank_probabilities(ranker, bench, [found for found, _ in written])
    systems = {
        "without emotion": _likeliest(_candidates(writer, bench, none, 1.0, card.candidates)),
        "emotion, not guided": _likeliest(_candidates(writer, bench, wanted, 1.0, card.candidates)),
        "guided": _likeliest(written),
        "guided and re-ranked": [
            rerank(found, p, card.labels, want, faithfulness=likely, strength=card.strength)[0].caption
            for (found, likely), p, want in zip(written, judged, wanted, strict=True)
        ],
        "nearest picture's": _nearest(study, bench),
        "people": bench.human,
    }
    scores = {
        name: score_captions(captions, bench.references, bench.wanted, judge(captions), card.labels)
        for name, captions in systems.items()
    }
    summary, differences = summarise(scores, "without emotion", seed=study.seed)
    captions = [
        {"image": image, "emotion": card.labels[want], **{name: systems[name][row] for name in systems}}
        for row, (image, want) in enumerate(zip(bench.images, bench.wanted, strict=True))
    ]
    return {"n_images": len(bench.images), "systems": summary, "differences": differences, "captions": captions}


def _candidates(
    writer: Writer, bench: Bench, wanted: Sequence[Sequence[int]], guidance: float, n: int
) -> list[tuple[list[str], np.ndarray]]:
    """N times the distinct candidates and their (n,) faithfulness."""
    found: list[tuple[list[str], np.ndarray]] = []
    for number, rows in enumerate(in_batches(len(wanted), BATCH)):
        written = writer.write(bench.features[rows], wanted[rows], n=n, guidance=guidance, seed=number)
        for features, captions in zip(bench.features[rows], written, strict=True):
            distinct = list(dict.fromkeys(captions))
            found.append((distinct, writer.likelihood([features] * len(distinct), distinct)))
    return found


def _likeliest(candidates: Sequence[tuple[list[str], np.ndarray]]) -> list[str]:
    """Of each picture's candidates the most faithful one, whatever it evokes."""
    return [captions[int(np.argmax(likely))] for captions, likely in candidates]


def _rank_probabilities(ranker: SavedModel, bench: Bench, candidates: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """N times (n, E): what the study's own classifier says of each picture with each candidate."""
    captions = [caption for found in candidates for caption in found]
    keys = [str(row) for row, found in enumerate(candidates) for _ in found]
    store = None
    if ranker.card.features is not None:
        store = {str(row): (features,) for row, features in enumerate(bench.features) if features is not None}
    encoded = ranker.tokenizer(
        captions, truncation=True, max_length=ranker.card.max_length, return_attention_mask=False
    )["input_ids"]
    dataset = PairDataset(encoded, keys, None, store)  # type: ignore[arg-type]  # a dict reads as a store does
    probabilities = predict_probabilities(ranker.model, dataset, 64, "captioner: re-ranking", ranker.card.temperature)
    ends = np.cumsum([len(found) for found in candidates])
    return np.split(probabilities, ends[:-1])


def _nearest(study: Study, bench: Bench) -> list[str]:
    """For each picture a caption of the one that looks most like it, by the mean of its regions."""
    pairs, store = study.pairs("source"), study.store("source")
    first: dict[str, str] = {}
    for image, caption in zip(pairs.images, pairs.captions, strict=True):
        if store is not None and image in store:
            first.setdefault(image, caption)
    if not first:
        return [pairs.captions[0]] * len(bench.images)
    assert store is not None, "its images were found in it"
    known = np.stack([_unit(store[image][0]) for image in first])
    captions = list(first.values())
    return [
        captions[int(np.argmax(known @ _unit(features)))] if features is not None else captions[0]
        for features in bench.features
    ]


def _unit(features: np.ndarray) -> np.ndarray:
    mean = features.astype(np.float32).mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def _gallery(
    study: Study, card: CaptionerCard, writer: Writer, ranker: SavedModel, bench: Bench, folder: Path
) -> list[dict[str, Any]]:
    """A few pictures with captions for several emotions side by side: those the target names most, one of each kind."""
    root = study.whole("source").image_root
    frequent = np.argsort(-study.truth("train").sum(axis=0), kind="stable")
    spread = [int(frequent[i]) for i in np.linspace(0, len(frequent) - 1, EMOTIONS_SHOWN).round().astype(int)]
    rows = [row for row, features in enumerate(bench.features) if features is not None][:SHOWN] or [0]
    found = []
    for number, row in enumerate(rows, 1):
        one = Bench([bench.images[row]], [bench.human[row]], [bench.references[row]], [bench.features[row]], [0])
        (plain,) = _likeliest(_candidates(writer, one, [[]], 1.0, card.candidates))
        entry: dict[str, Any] = {"image": None, "people": bench.human[row], "without": plain, "captions": []}
        if thumbnail(root, bench.images[row], folder / f"{number:02d}.jpg"):
            entry["image"] = f"captioner/gallery/{number:02d}.jpg"
        for emotion in dict.fromkeys(spread):
            (written,) = _candidates(writer, one, [[emotion]], card.guidance, card.candidates)
            (judged,) = _rank_probabilities(ranker, one, [written[0]])
            best = rerank(written[0], judged, card.labels, [emotion], faithfulness=written[1], strength=card.strength)[
                0
            ]
            entry["captions"].append(
                {"emotion": card.labels[emotion], "caption": best.caption, "probability": best.probability}
            )
        found.append(entry)
    return found
