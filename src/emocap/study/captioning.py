"""The study's captioner, trained on the pseudo-labelled sample of the source."""

from emocap.files import write_json
from emocap.models.captioner import build_captioner
from emocap.study.stages import selected
from emocap.study.study import Study
from emocap.training.captioner_folder import CaptionerCard, save_captioner
from emocap.training.captioning import CaptionDataset, Prompts, caption_loss
from emocap.training.train import discard_checkpoints, train

RUN = "captioner"


def captioner(study: Study) -> None:
    """Train the captioner: the student as its encoder, the backbone's lowest layers as its decoder."""
    settings = study.config.captioner
    assert settings is not None, "the stage exists only where there is a captioner"
    folder = study.folder(RUN)
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
        seed=study.seed,
    )
    history = train(
        *(model, data, None, settings.training, folder),
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
    save_captioner(folder / "model", model, tokenizer, card)
    write_json(folder / "history.json", history)
    discard_checkpoints(folder)
