"""The stage "captioner": trains the captioner on the pseudo-labelled sample of the source."""

import shutil
from pathlib import Path
from typing import Any

import torch

from emocap.captioning.caption_tokens import CaptionTokens
from emocap.captioning.checkpoint import CaptionerCard, save_captioner
from emocap.captioning.data import CaptionDataset, ImageWords, caption_loss
from emocap.captioning.model import VisualBertForCaptioning, build_captioner
from emocap.captioning.prompts import Prompts
from emocap.captioning.region_words import RegionWordClassifier, region_word_loss
from emocap.files import write_json
from emocap.study.stages.selection import selected
from emocap.study.training_unit import TrainingUnit
from emocap.training.resume import discard_checkpoints
from emocap.training.train import train

RUN = "captioner"
WORDS = "words"


def captioner(study: TrainingUnit) -> None:
    """Train the captioner: the student as its encoder, the backbone's lowest layers as its decoder.

    Its projector of regions is trained on the words of images first, which through the decoder would take far longer.
    """
    settings = study.config.captioner
    assert settings is not None, "the stage exists only where there is a captioner"
    folder = study.folder(RUN)
    sample, targets = selected(study)
    saved = study.load("student")
    backbone, tokenizer = study.fresh_model(study.seed)
    model = build_captioner(
        saved.model.visualbert, backbone.visualbert, tokenizer, layers=settings.decoder_layers, seed=study.seed + 4
    )
    data = CaptionDataset.of(
        sample,
        targets,
        Prompts.of(study.vocabulary.labels, tokenizer),
        CaptionTokens(tokenizer),
        max_length=study.config.model.max_length,
        store=study.store("source"),
        drop_emotions=settings.drop_emotions,
        seed=study.seed,
    )
    word_history = _train_projector(study, model, data, folder)
    history = train(
        model,
        data,
        None,
        settings.training,
        folder,
        name=RUN,
        seed=study.seed,
        metrics=None,
        collate=data.collate,
        lengths=data.lengths,
        loss=caption_loss,
        numbered_by_epoch=True,
    )
    card = CaptionerCard(
        labels=list(study.vocabulary.labels),
        vocabulary=study.vocabulary.hash,
        max_length=study.config.model.max_length,
        features=saved.card.features,
        candidates=settings.candidates,
        training=saved.card.training,
    )
    save_captioner(folder / "model", model, tokenizer, card)
    write_json(folder / "history.json", history)
    if word_history is not None:
        write_json(folder / "words.json", word_history)
    discard_checkpoints(folder)
    shutil.rmtree(folder / WORDS, ignore_errors=True)


def _train_projector(
    study: TrainingUnit, model: VisualBertForCaptioning, captions: CaptionDataset, folder: Path
) -> dict[str, Any] | None:
    """Train the projector of regions in place; returns the history for `words.json`, None without regions."""
    settings = study.config.captioner
    assert settings is not None, "the stage exists only where there is a captioner"
    if captions.store is None or not len(data := ImageWords.of(captions)):
        return None
    vectors = model.decoder.get_input_embeddings().weight[data.word_ids]
    return train(
        RegionWordClassifier(model.regions, vectors, torch.as_tensor(data.targets.mean(axis=0))),
        data,
        None,
        settings.words,
        folder / WORDS,
        name=f"{RUN}: region words",
        seed=study.seed,
        metrics=None,
        collate=data.collate,
        lengths=[1] * len(data),
        loss=region_word_loss,
    )
