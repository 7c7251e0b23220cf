"""The model, the captioner and the image of the doctests: tiny, and trained to reproduce eight captions."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from emocap.captioning.checkpoint import RANKER
from emocap.captioning.data import CaptionDataset, caption_loss
from emocap.captioning.model import VisualBertForCaptioning
from emocap.captioning.prompts import Prompts
from emocap.emotions import Vocabulary
from emocap.models.classifier import VisualBertForEmotion
from emocap.regions.images import open_image
from emocap.training.batching import pad_regions

from .small_captioner import GRID, write_captioner
from .tiny_bert import write_tiny_bert

VOCABULARY = Vocabulary(("happy", "sad", "awe"))
PROBABILITIES = {
    "the child celebrates in the sun": (0.9, 0.1, 0.4),
    "a happy dog runs at home": (0.7, 0.1, 0.2),
    "the cat sits in the sun": (0.5, 0.2, 0.2),
    "the dog waits alone at night": (0.1, 0.9, 0.2),
    "the child is lost in the storm": (0.1, 0.7, 0.3),
    "a cat sits in the rain": (0.2, 0.5, 0.1),
    "bright night on the quiet sea": (0.4, 0.2, 0.9),
    "nobody knows the dark sea": (0.1, 0.4, 0.7),
}


def write_doctest_models(folder: Path) -> dict[str, Path]:
    """Write the files to an existing folder; returns `model_folder`, `captioner_folder` and `image_path`."""
    image = folder / "photo.png"
    shades = np.linspace(0, 255, 60).astype(np.uint8)
    Image.fromarray(np.stack([np.tile(shades, (40, 1))] * 3, axis=-1)).save(image)
    bert = folder / "bert"
    bert.mkdir()
    write_tiny_bert(bert)
    (regions,) = GRID.describe([GRID.prepare(open_image(image))], [(60, 40)])
    features = regions.features.astype(np.float16)

    def train(model: VisualBertForEmotion, captioner: VisualBertForCaptioning, tokenizer: Any) -> None:
        train_classifier(model, tokenizer, features)
        train_captioner(captioner, tokenizer, features)

    run = write_captioner(folder / "run", bert, VOCABULARY, train=train, frequencies=[0.5, 0.3, 0.2], candidates=16)
    model_folder = folder / "AnB+" / "model"
    shutil.copytree(run / "captioner" / "model" / RANKER, model_folder)
    return {"model_folder": model_folder, "captioner_folder": run, "image_path": image}


def train_classifier(model: VisualBertForEmotion, tokenizer: Any, features: np.ndarray) -> None:
    """Fit the probabilities of all captions, with the image and without."""
    captions, targets = [*PROBABILITIES, *PROBABILITIES], torch.tensor([*PROBABILITIES.values()] * 2)
    tokens = tokenizer(captions, return_tensors="pt", padding=True, return_token_type_ids=False)
    regions = pad_regions([*[features] * len(PROBABILITIES), *[None] * len(PROBABILITIES)])
    minimise(model, lambda: model(**tokens, **regions, labels=targets).loss, steps=100)


def train_captioner(captioner: VisualBertForCaptioning, tokenizer: Any, features: np.ndarray) -> None:
    """Memorise each caption for its strongest emotion, and all captions without an emotion."""
    captions = tokenizer(list(PROBABILITIES), return_attention_mask=False)["input_ids"]
    targets = np.eye(3, dtype=np.float32)[np.argmax(list(PROBABILITIES.values()), axis=1)]
    store: Any = {"photo": (features,)}
    prompts = Prompts.of(VOCABULARY.labels, tokenizer)
    rows = range(len(captions))
    batches = []
    for drop_emotions in (0.0, 1.0):
        dataset = CaptionDataset(captions, ["photo"] * len(captions), targets, prompts, store, drop_emotions)
        batches.append(dataset.collate(rows))

    def loss() -> torch.Tensor:
        total = torch.zeros(())
        for batch in batches:
            inputs = {key: value for key, value in batch.items() if key != "labels"}
            total = total + caption_loss(captioner(**inputs), batch["labels"])
        return total

    minimise(captioner, loss, steps=100)


def minimise(model: torch.nn.Module, loss: Any, steps: int) -> None:
    """Adam with a linearly falling rate and without dropout, so that the result hardly depends on the machine."""
    model.eval()
    optimizer = torch.optim.Adam(model.parameters(), 6e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        schedule.step()
