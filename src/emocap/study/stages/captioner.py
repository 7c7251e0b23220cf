"""The study's captioner, trained on the pseudo-labelled sample of the source."""

import shutil
from pathlib import Path
from typing import Any

import torch

from emocap.captioning.checkpoint import CaptionerCard, save_captioner
from emocap.captioning.data import CaptionDataset, PictureWords, Prompts, caption_loss
from emocap.captioning.model import VisualBertForCaptioning, build_captioner
from emocap.captioning.region_words import WordsOfRegions, words_loss
from emocap.files import write_json
from emocap.study.stages.selection import selected
from emocap.study.training_unit import TrainingUnit
from emocap.training.train import discard_checkpoints, train

RUN = "captioner"
WORDS = "words"


def captioner(study: TrainingUnit) -> None:
    """Train the captioner: the student as its encoder, the backbone's lowest layers as its decoder.

    Its reader of regions learns the words of pictures first: through the decoder alone it would take far longer.
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
        tokenizer,
        max_length=study.config.model.max_length,
        store=study.store("source"),
        drop=settings.drop_emotions,
        seed=study.seed,
    )
    words = _read_regions(study, model, data, folder)
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
    if words is not None:
        write_json(folder / "words.json", words)
    discard_checkpoints(folder)
    shutil.rmtree(folder / WORDS, ignore_errors=True)


def _read_regions(
    study: TrainingUnit, model: VisualBertForCaptioning, captions: CaptionDataset, folder: Path
) -> dict[str, Any] | None:
    """Train the reader of regions in place; what `words.json` holds, None where there are no regions to read."""
    settings = study.config.captioner
    assert settings is not None, "the stage exists only where there is a captioner"
    if captions.store is None or not len(data := PictureWords.of(captions)):
        return None
    vectors = model.decoder.get_input_embeddings().weight[data.words]
    return train(
        WordsOfRegions(model.regions, vectors, torch.as_tensor(data.targets.mean(axis=0))),
        data,
        None,
        settings.words,
        folder / WORDS,
        name=f"{RUN}'s words",
        seed=study.seed,
        metrics=None,
        collate=data.collate,
        lengths=[1] * len(data),
        loss=words_loss,
    )
