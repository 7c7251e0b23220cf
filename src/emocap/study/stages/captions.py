"""The stage "captions": the captioner is tuned and judged on images that no model of the study has seen.

The first half of the held-out images decides on guidance and strength, the second half is judged. The judges read
only captions and are fitted to the target's test pairs, which none of the study's models saw: logistic regression on
words, or on sentence vectors. Words are the safer judge, since sentence vectors may come from the backbone itself.
"""

import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from emocap.captioning.candidates import CandidateGenerator
from emocap.captioning.checkpoint import GENERATION, RANKER, GenerationConfig, load_captioner
from emocap.captioning.eval_set import EvalSet
from emocap.captioning.judging import JUDGES, fit_judge, score_systems, score_with_judge
from emocap.captioning.system_names import NOT_GUIDED, WITHOUT_EMOTION
from emocap.captioning.systems import caption_systems, most_faithful
from emocap.captioning.tuning import choose_generation_config
from emocap.devices import best_device
from emocap.evaluation.baselines import PredictFunction
from emocap.files import atomic_folder, write_json
from emocap.study.artifacts import read_value
from emocap.study.gallery import thumbnail
from emocap.study.stages.captioner import RUN
from emocap.study.training_unit import TrainingUnit

logger = logging.getLogger("emocap")
MAX_IDENTICAL = 0.9
GALLERY_IMAGES = 6
GALLERY_EMOTIONS = 4


def captions(study: TrainingUnit) -> None:
    """Choose guidance and strength, judge the captions, and save the chosen setting with the captioner."""
    settings = study.config.captioner
    assert settings is not None, "the stage exists only where there is a captioner"
    folder, labels = study.folder(RUN), study.vocabulary.labels
    ranker = study.load("AnB+")
    generator = CandidateGenerator(load_captioner(folder).generator(best_device()), ranker, settings.candidates)
    names = (settings.judge, *(name for name in JUDGES if name != settings.judge))
    (judge, judge_quality), *other_judges = (_judge(study, name) for name in names)
    tuning_set, test_set = (_eval_set(study, part) for part in ("choose", "judge"))
    config, trade_off = choose_generation_config(
        generator,
        tuning_set,
        judge,
        labels,
        guidance=settings.guidance,
        strength=settings.strength,
        max_loss=settings.max_loss,
        seed=study.seed,
    )
    systems = caption_systems(generator, test_set, labels, config, study.pairs("source"), study.store("source"))
    _warn_if_identical(systems[NOT_GUIDED], systems[WITHOUT_EMOTION])
    results = {
        "trade_off": trade_off,
        "schema": 1,
        "judge": judge_quality,
        **score_systems(systems, test_set, judge, labels, study.seed),
        "other_judges": {
            quality["model"]: {"judge": quality} | score_with_judge(systems, test_set, other, study.seed)
            for other, quality in other_judges
        },
        "captions": [
            {"image": image, "emotion": labels[emotion], **{name: systems[name][row] for name in systems}}
            for row, (image, emotion) in enumerate(zip(test_set.images, test_set.emotions, strict=True))
        ],
        **asdict(config),
        "candidates": settings.candidates,
        "max_loss": settings.max_loss,
    }
    with atomic_folder(folder / "gallery") as gallery:
        results["gallery"] = _gallery(study, generator, config, test_set, gallery)
    with atomic_folder(folder / "model" / RANKER) as copy:
        shutil.copytree(ranker.folder, copy, dirs_exist_ok=True)
    write_json(folder / "model" / GENERATION, asdict(config))
    write_json(folder / "captions.json", results)


def _judge(study: TrainingUnit, name: str) -> tuple[PredictFunction, dict[str, Any]]:
    """A judge fitted to the target's test captions, and its quality on the other captions."""
    return fit_judge(
        name,
        study.part("test").captions,
        study.truth("test"),
        [*study.part("train").captions, *study.part("validation").captions],
        np.concatenate([study.truth("train"), study.truth("validation")]),
        vectors=study.config.baselines.vectors,
        seed=study.seed,
    )


def _eval_set(study: TrainingUnit, part: str) -> EvalSet:
    return EvalSet.of(
        read_value(study.run / "caption_images.json", part),
        study.whole("source"),
        study.store("source"),
        study.truth("train").sum(axis=0),
        np.random.default_rng([study.seed, 7 if part == "choose" else 8]),
    )


def _warn_if_identical(with_emotion: list[str], without_emotion: list[str]) -> None:
    pairs = zip(with_emotion, without_emotion, strict=True)
    share = sum(one == other for one, other in pairs) / len(with_emotion)
    if share > MAX_IDENTICAL:
        logger.warning(
            "captions: %.0f%% are identical with and without the emotion; the captioner ignores it, train it longer or "
            "with a lower captioner.training.learning_rate",
            100 * share,
        )


def _gallery(
    study: TrainingUnit, generator: CandidateGenerator, config: GenerationConfig, eval_set: EvalSet, folder: Path
) -> list[dict[str, Any]]:
    """A few images with captions for several emotions, from the target's most to its least frequent one."""
    root, labels = study.whole("source").image_root, study.vocabulary.labels
    by_frequency = np.argsort(-study.truth("train").sum(axis=0), kind="stable")
    places = np.linspace(0, len(by_frequency) - 1, GALLERY_EMOTIONS).round().astype(int)
    emotions = dict.fromkeys(int(by_frequency[place]) for place in places)
    rows = [row for row, features in enumerate(eval_set.features) if features is not None][:GALLERY_IMAGES] or [0]
    entries = []
    for number, row in enumerate(rows, 1):
        features = [eval_set.features[row]]
        (without_emotion,) = most_faithful(generator, features, [[]])
        has_thumbnail = thumbnail(root, eval_set.images[row], folder / f"{number:02d}.jpg")
        captions = []
        for emotion in emotions:
            candidates = generator.generate(features, [[emotion]], config.guidance)
            (probabilities,) = generator.probabilities(features, candidates)
            best = candidates[0].best(probabilities, labels, emotion, config.strength)
            captions.append({"emotion": labels[emotion], "caption": best.caption, "probability": best.probability})
        entries.append(
            {
                "image": f"captioner/gallery/{number:02d}.jpg" if has_thumbnail else None,
                "human": eval_set.human[row],
                "without_emotion": without_emotion,
                "captions": captions,
            }
        )
    return entries
