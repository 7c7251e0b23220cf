"""The stages that train the captioner, and its control on shuffled conditions, on the pseudo-labelled source."""

import logging
import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from emocap.captioning.caption_tokens import CaptionTokens, tokens_of_captions
from emocap.captioning.checkpoint import CaptionerCard, GenerationConfig, save_captioner
from emocap.captioning.data import CaptionDataset, ImageWords, caption_loss, contrastive_loss
from emocap.captioning.light_encoder import build_light_encoder
from emocap.captioning.model import VisualBertForCaptioning, build_captioner
from emocap.captioning.prompts import Prompts
from emocap.captioning.region_words import RegionWordClassifier, region_word_loss
from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError
from emocap.files import write_json
from emocap.pseudo_labels.lift import LiftScale, condition_targets
from emocap.study.artifacts import read_parquet
from emocap.study.fitting_settings import require_styles
from emocap.study.stages.selection import LIFT, selected
from emocap.study.training_unit import TrainingUnit
from emocap.training.checkpoint import SavedModel
from emocap.training.resume import discard_checkpoints
from emocap.training.train import train

if TYPE_CHECKING:  # a stage gets the configuration as values, which its fingerprint holds
    from emocap.study.config.captioner import CaptionerConfig

logger = logging.getLogger("emocap")
RUN = "captioner"
SHUFFLED = "captioner_shuffled"
WORDS = "words"


def captioner(study: TrainingUnit) -> None:
    """Train the captioner."""
    _train_captioner(study, RUN, shuffled=False)


def shuffled_captioner(study: TrainingUnit) -> None:
    """Train the same captioner on the conditions of other captions, drawn by the seed: what it gains is no emotion."""
    _train_captioner(study, SHUFFLED, shuffled=True)


def generation_config(settings: "CaptionerConfig") -> GenerationConfig:
    """The settings of the generation, with guidance and strength yet to be chosen."""
    return GenerationConfig(
        style_guidance=settings.style_guidance,
        guidance_steps=settings.guidance_steps,
        beams=settings.beams,
        length_penalty=settings.length_penalty,
        top_p=settings.top_p,
        rerank=settings.rerank,
    )


def _train_captioner(study: TrainingUnit, run: str, *, shuffled: bool) -> None:
    """Train a captioner: its region reader on the words of images first, which through the decoder takes far longer."""
    settings = study.config.captioner
    assert settings is not None, "the stage exists only where there is a captioner"
    folder = study.folder(run)
    sample, targets = training_captions(study)
    styles, names = _styles(sample) if settings.styles else (None, [])
    if shuffled:
        order = np.random.default_rng([study.seed, 6]).permutation(len(sample))
        targets, styles = targets[order], None if styles is None else [styles[row] for row in order]
    saved = study.load("student")
    model, tokenizer, tokens = _new_captioner(study, saved, sample, names)
    labels = study.vocabulary.labels
    data = CaptionDataset.of(
        sample,
        targets,
        Prompts.numbered(labels, names) if model.is_light else Prompts.of(labels, tokenizer, names),
        tokens,
        max_length=study.config.model.max_length,
        store=study.store("source"),
        drop_emotions=settings.drop_emotions,
        seed=study.seed,
        styles=styles,
        contrasted=settings.contrast > 0,
    )
    word_history = _train_projector(study, model, data, folder)
    history = train(
        model,
        data,
        None,
        settings.training,
        folder,
        name=run,
        seed=study.seed,
        metrics=None,
        collate=data.collate,
        lengths=data.lengths,
        loss=_loss(settings),
        numbered_by_epoch=True,
    )
    card = CaptionerCard(
        labels=list(labels),
        vocabulary=study.vocabulary.hash,
        max_length=study.config.model.max_length,
        features=saved.card.features,
        candidates=settings.candidates,
        styles=names,
        training=saved.card.training,
    )
    save_captioner(folder / "model", model, tokenizer, card)
    write_json(folder / "history.json", history)
    if word_history is not None:
        write_json(folder / "words.json", word_history)
    discard_checkpoints(folder)
    shutil.rmtree(folder / WORDS, ignore_errors=True)


def _loss(settings: "CaptionerConfig") -> Callable[..., torch.Tensor]:
    smoothing = settings.training.label_smoothing or 0.0
    if settings.contrast == 0:
        return partial(caption_loss, label_smoothing=smoothing)
    return partial(contrastive_loss, weight=settings.contrast, label_smoothing=smoothing)


def training_captions(study: TrainingUnit) -> tuple[Pairs, np.ndarray]:
    """The N captions that a captioner learns, and the weights (N, E) float32 of the emotions that condition each.

    Raises:
        EmocapError: no emotion of any caption has a weight.
    """
    settings = study.config.captioner
    assert settings is not None, "the stage exists only where there is a captioner"
    if settings.rank == "probability":
        return selected(study)
    pairs, probabilities = study.pairs("source"), study.array("scores/probabilities.npy")
    scale = LiftScale.load(study.run / LIFT, study.vocabulary)
    weights = condition_targets(probabilities, study.config.pseudo_labels.p, scale)
    if settings.pairs == "sample":
        rows = read_parquet(study.run / "selection.parquet")["row"].to_numpy()
        pairs, weights = pairs.select(rows), weights[rows]
    if not weights.any():
        raise EmocapError(
            "captioner.rank is lift, but the teacher's probabilities are the same for all captions; train it longer"
        )
    n_without = int((weights.sum(axis=1) == 0).sum())
    if n_without:
        logger.info("captioner: %d of %d captions have no emotion of positive lift", n_without, len(weights))
    return pairs, weights


def _styles(pairs: Pairs) -> tuple[list[str | None], list[str]]:
    """Each caption's style, and the names of all styles; what images lack is counted and logged.

    Raises:
        EmocapError: no caption has a style.
    """
    styles = pairs.styles
    require_styles(styles)
    counts = Counter(style for style in styles if style is not None)
    names = sorted(counts)
    n_images = len(pairs.distinct_images())
    for name in names:
        images = {image for image, style in zip(pairs.images, styles, strict=True) if style == name and image}
        logger.info(
            "captioner: %d captions of style %s; %d of %d images have none",
            counts[name],
            name,
            n_images - len(images),
            n_images,
        )
    if without := len(styles) - counts.total():
        logger.info("captioner: %d captions have no style", without)
    return styles, names


def _new_captioner(
    study: TrainingUnit, student: SavedModel, sample: Pairs, styles: list[str]
) -> tuple[VisualBertForCaptioning, Any, CaptionTokens]:
    """An untrained captioner, the tokenizer, and the tokens that the captioner reads and generates."""
    settings = study.config.captioner
    assert settings is not None, "the stage exists only where there is a captioner"
    fresh, tokenizer = study.fresh_model(study.seed)
    backbone = fresh.body
    kept = None
    if settings.tokens == "captions":
        kept = tokens_of_captions(sample.captions, tokenizer, study.config.model.max_length)
        logger.info("captioner: generates the %d tokens of its captions, of %d", len(kept), len(tokenizer))
    tokens = CaptionTokens(tokenizer, kept)
    encoder = student.model.body
    if settings.encoder == "light":
        encoder = build_light_encoder(
            backbone,
            tokenizer,
            [*study.vocabulary.labels, *styles],
            backbone.config.visual_embedding_dim,
            layers=settings.encoder_layers,
            dropout=settings.dropout,
            seed=study.seed + 5,
        )
    model = build_captioner(
        encoder,
        backbone,
        tokens,
        layers=settings.decoder_layers,
        seed=study.seed + 4,
        copy_layers=settings.decoder_init == "backbone",
        dropout=settings.dropout,
        kept=kept,
    )
    return model, tokenizer, tokens


def _train_projector(
    study: TrainingUnit, model: VisualBertForCaptioning, captions: CaptionDataset, folder: Path
) -> dict[str, Any] | None:
    """Train the projector of regions in place; returns the history for `words.json`, None without regions."""
    settings = study.config.captioner
    assert settings is not None, "the stage exists only where there is a captioner"
    if settings.words is None or captions.store is None or not len(data := ImageWords.of(captions)):
        return None
    vectors = model.decoder.get_input_embeddings().weight[data.word_ids]
    return train(
        RegionWordClassifier(model.regions, vectors, torch.as_tensor(data.targets.mean(axis=0))),
        data,
        None,
        settings.words,
        folder / WORDS,
        name=f"{folder.name}: region words",
        seed=study.seed,
        metrics=None,
        collate=data.collate,
        lengths=[1] * len(data),
        loss=region_word_loss,
    )
