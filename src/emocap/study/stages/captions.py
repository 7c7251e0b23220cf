"""The stage "captions": the captioner is tuned and judged on images that no model of the study has seen.

Some of the held-out images decide on guidance and strength, the others are judged. The judges read only captions and
are fitted to the target's test pairs, which none of the study's models saw: logistic regression on words, or on
sentence vectors. Words are the safer judge, since sentence vectors may come from the backbone itself.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from emocap.captioning.candidates import CandidateGenerator
from emocap.captioning.checkpoint import GENERATION, RANKER, GenerationConfig, load_captioner
from emocap.captioning.emotion_perception import emotion_perception
from emocap.captioning.eval_set import EvalSet
from emocap.captioning.judging import JUDGES, Judge, fit_judge, fit_lift_judge, score_systems, score_with_judge
from emocap.captioning.key_words import KeyWordRule
from emocap.captioning.nouns import noun_tagger
from emocap.captioning.reader_sheet import reader_sheet
from emocap.captioning.retrieval import CaptionRetrieval
from emocap.captioning.style_judging import judge_styles
from emocap.captioning.system_names import HUMAN, NOT_GUIDED, OTHER_EMOTION, RERANKED, WITHOUT_EMOTION
from emocap.captioning.systems import EmotionRanker, caption_systems, control_systems, styled_captions
from emocap.captioning.tuning import choose_generation_config, ranker_of
from emocap.corpora.pairs import Pairs
from emocap.devices import best_device
from emocap.evaluation.ranking_metrics import mean_average_precision
from emocap.files import atomic_folder, write_json, write_text
from emocap.pseudo_labels.lift import LiftScale
from emocap.study.artifacts import read_value
from emocap.study.stages.caption_gallery import caption_gallery
from emocap.study.stages.captioner import RUN, SHUFFLED, generation_config
from emocap.study.stages.selection import LIFT
from emocap.study.training_unit import TrainingUnit
from emocap.training.checkpoint import SavedModel
from emocap.training.predict import predict_captions

logger = logging.getLogger("emocap")
MAX_IDENTICAL = 0.9
SCALE_CAPTIONS = 2000
MEAN_IMAGES = 500
SHEETS = ("reader_sheet.html", "reader_sheet_key.csv")
CHOSEN = (f"model/{RANKER}", f"model/{GENERATION}", f"model/{LIFT}")


@dataclass(frozen=True)
class Generated:
    """Captions of the judged images.

    Attributes:
        systems: by system, each asked for the same emotions or for none.
        other: those that were asked for another emotion; empty where there is one emotion only.
        styled: by style.
    """

    systems: dict[str, list[str]]
    other: dict[str, list[str]]
    styled: dict[str, list[str]]


def captions(study: TrainingUnit) -> None:
    """Choose guidance and strength, judge the captions, and save the chosen setting with the captioner."""
    settings = study.config.captioner
    assert settings is not None, "the stage exists only where there is a captioner"
    folder, labels = study.folder(RUN), study.vocabulary.labels
    model, training = study.load("AnB+"), study.pairs("source")
    saved = load_captioner(folder)
    generator = CandidateGenerator(
        saved.generator(best_device()), model, settings.candidates, generation_config(settings)
    )
    sample = _sampled(_factual(training), study.seed)
    judges = [_judge(study, name, sample.captions) for name in sorted(JUDGES, key=lambda name: name != settings.judge)]
    tuning_set, test_set = (_eval_set(study, part) for part in ("choose", "judge"))
    scale = _ranker_scale(study, model, sample)
    config, trade_off = choose_generation_config(
        generator,
        tuning_set,
        judges[0][0],
        labels,
        scale,
        guidance=settings.guidance,
        strength=settings.strength,
        max_loss=settings.max_loss,
        seed=study.seed,
    )
    ranker = ranker_of(generator, labels, config.strength, scale)
    generated = _generate(study, generator, config, ranker, test_set, saved.card.styles)
    results = {
        "schema": 1,
        "trade_off": trade_off,
        **_scores(study, generated, test_set, judges, sample.captions),
        "captions": _entries(test_set, labels, generated),
        **asdict(config),
        "candidates": settings.candidates,
        "max_loss": settings.max_loss,
    }
    with atomic_folder(folder / "gallery") as gallery:
        results["gallery"] = caption_gallery(
            generator,
            config.guidance,
            ranker,
            test_set,
            generated.systems[WITHOUT_EMOTION],
            generated.styled,
            study.truth("train").sum(axis=0),
            study.whole("source").image_root,
            gallery,
            study.seed,
        )
    sheet, key = reader_sheet(generated.systems[RERANKED], test_set.emotions, test_set.images, labels, study.seed)
    for name, text in zip(SHEETS, (sheet, key), strict=True):
        write_text(folder / name, text)
    with atomic_folder(folder / "model" / RANKER) as copy:
        shutil.copytree(model.folder, copy, dirs_exist_ok=True)
    scale.save(folder / "model" / LIFT, study.vocabulary)
    write_json(folder / "model" / GENERATION, asdict(config))
    write_json(folder / "captions.json", results)


def _generate(
    study: TrainingUnit,
    generator: CandidateGenerator,
    config: GenerationConfig,
    ranker: EmotionRanker,
    test_set: EvalSet,
    styles: list[str],
) -> Generated:
    """The captions of every system, control and style."""
    factual, store = _factual(study.pairs("source")), study.store("source")
    retrieval = CaptionRetrieval.of(factual.images, factual.captions, store)
    systems = caption_systems(generator, test_set, config, ranker, retrieval, study.seed)
    _warn_if_identical(systems[NOT_GUIDED], systems[WITHOUT_EMOTION])
    shuffled, settings = None, study.config.captioner
    if settings is not None and "shuffled" in settings.controls:  # a former configuration may have left its folder
        shuffled = replace(generator, generator=load_captioner(study.folder(SHUFFLED)).generator(best_device()))
    controls = control_systems(generator, shuffled, test_set, config, ranker, _mean_region(study))
    other = {name: controls.pop(name) for name in (OTHER_EMOTION,) if name in controls}
    human = {HUMAN: systems.pop(HUMAN)}
    return Generated(systems | controls | human, other, styled_captions(generator, test_set.features, styles))


def _scores(
    study: TrainingUnit,
    generated: Generated,
    test_set: EvalSet,
    judges: list[tuple[Judge, dict[str, Any]]],
    others: Sequence[str],
) -> dict[str, Any]:
    """All that is measured of the captions; `others` are human captions of images that are not judged."""
    seed, labels, systems = study.seed, study.vocabulary.labels, generated.systems
    (judge, quality), *other_judges = judges
    tagger = noun_tagger()
    if tagger is None:
        logger.warning(
            "captions: noun faithfulness is left out, since HanTa is missing; pip install 'emocap[captions]'"
        )
    rule = KeyWordRule.fit(study.part("test").captions, study.truth("test"))
    unseen = ([*study.part("train").captions, *study.part("validation").captions], _unseen_truth(study))
    training = study.pairs("source")
    with_style = [row for row, style in enumerate(training.styles) if style in generated.styled]
    styled = (
        [training.captions[row] for row in with_style],
        [str(training.styles[row]) for row in with_style],
    )
    return {
        "judge": quality,
        **score_systems(systems, test_set, judge, labels, tagger, seed),
        "other_judges": {
            quality["model"]: {"judge": quality} | score_with_judge(systems, test_set, other, seed)
            for other, quality in other_judges
        },
        "perception": emotion_perception(
            systems | generated.other, test_set, judge, rule, labels, others, unseen, seed
        ),
        "styles": judge_styles(generated.styled, systems[WITHOUT_EMOTION], test_set, styled, tagger, seed),
    }


def _entries(test_set: EvalSet, labels: Sequence[str], generated: Generated) -> list[dict[str, str]]:
    """For each image its captions by system and by style, and what they were asked for."""
    entries = []
    for row, (image, emotion) in enumerate(zip(test_set.images, test_set.emotions, strict=True)):
        entry = {"image": image, "emotion": labels[emotion]}
        entry |= {name: texts[row] for name, texts in generated.systems.items()}
        if test_set.other_emotions is not None:
            entry |= {"other_emotion": labels[test_set.other_emotions[row]]}
            entry |= {name: texts[row] for name, texts in generated.other.items()}
        entry |= {f"style {style}": texts[row] for style, texts in generated.styled.items()}
        entry |= {f"human {style}": text for style, text in test_set.styled[row].items()}
        entries.append(entry)
    return entries


def _judge(study: TrainingUnit, name: str, others: Sequence[str]) -> tuple[Judge, dict[str, Any]]:
    """A judge fitted to the target's test captions, and its quality on the target's other captions.

    Args:
        others: human captions of images that are not judged, for the scale of its lift.
    """
    probabilities, quality = fit_judge(
        name,
        study.part("test").captions,
        study.truth("test"),
        [*study.part("train").captions, *study.part("validation").captions],
        _unseen_truth(study),
        vectors=study.config.baselines.vectors,
        seed=study.seed,
    )
    by_lift = fit_lift_judge(
        name,
        study.part("test").captions,
        study.truth("test"),
        vectors=study.config.baselines.vectors,
        seed=study.seed,
    )
    captions = [*study.part("train").captions, *study.part("validation").captions]
    quality["lift_mean_average_precision"] = mean_average_precision(by_lift(captions), _unseen_truth(study))
    return Judge.of(probabilities, by_lift, others), quality


def _unseen_truth(study: TrainingUnit) -> np.ndarray:
    """(M, E) of the target's pairs that the judge is not fitted to."""
    return np.concatenate([study.truth("train"), study.truth("validation")])


def _factual(pairs: Pairs) -> Pairs:
    """The pairs whose captions have no style; all where every one has."""
    styles = pairs.styles
    rows = [row for row, style in enumerate(styles) if style is None]
    return pairs.select(np.array(rows)) if 0 < len(rows) < len(styles) else pairs


def _sampled(pairs: Pairs, seed: int) -> Pairs:
    """At most `SCALE_CAPTIONS` pairs, drawn by the seed."""
    rows = np.random.default_rng([seed, 12]).permutation(len(pairs))[:SCALE_CAPTIONS]
    return pairs.select(np.sort(rows))


def _ranker_scale(study: TrainingUnit, model: SavedModel, sample: Pairs) -> LiftScale:
    """The scale of the ranker's logits over human captions with their images."""
    store = study.store("source")
    features = [store[image][0] if store is not None and image in store else None for image in sample.images]
    return LiftScale.of(predict_captions(model, features, sample.captions, 64, "captions: scale of the ranker"))


def _mean_region(study: TrainingUnit) -> np.ndarray | None:
    """(D,) the mean region of training images, which shows nothing of any image; None without images."""
    store = study.store("source")
    images = study.pairs("source").distinct_images()[:MEAN_IMAGES]
    means = [store[image][0].astype(np.float32).mean(axis=0) for image in images if image in store] if store else []
    return np.mean(means, axis=0) if means else None


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
