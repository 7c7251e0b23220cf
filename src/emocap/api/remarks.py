"""Remarks: what a user should know about a model, a pair or a ranking; the same in Python, REST, page and commands.

Each has a code, which does not change, and one sentence without its full stop. A remark never changes a prediction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emocap.api.caption_checks import warnings_for
from emocap.classifiers.base import CaptionReader
from emocap.classifiers.familiarity import Familiarity, signature
from emocap.corpora.languages import LANGUAGE_NAMES, is_foreign
from emocap.training.checkpoint import ModelCard

SYNTHETIC = "the model was trained on drawn scenes with synthetic captions; it says little about real photographs"
NO_CAPTION = "there is no caption, unlike in the training data; the prediction is of the image alone"
IMAGES_ALONE = "the model learned from images alone, so that the caption does not inform its prediction"
CAPTIONS_ALONE = (
    "the model learned emotions from captions with few or no images; the effect of the image on the prediction is "
    "uncertain"
)
UNLIKE_IMAGE = "the image is unlike the images of the training data; its effect on the prediction is uncertain"
UNLIKE_CAPTION = "the caption is unlike the captions of the training data; the prediction is uncertain"


@dataclass(frozen=True)
class Remark:
    """A remark.

    Attributes:
        code: "synthetic", "language", "unlike_image", "unlike_caption", "no_gain", "no_caption", "images_alone",
            "captions_alone", or one of the checks of a caption: "control_characters", "no_words", "truncated",
            "unknown_words".
        text: one sentence, which starts in lower case and has no full stop.
    """

    code: str
    text: str


def remarks_on_model(card: ModelCard) -> list[Remark]:
    """What limits all predictions of a model."""
    return [Remark("synthetic", SYNTHETIC)] if card.synthetic else []


def remarks_on_image(familiarity: Familiarity, features: np.ndarray | None) -> list[Remark]:
    """Whether an image is unlike the training images, or the model learned emotions from captions alone.

    Args:
        features: (R, D) of its regions; None without an image.
    """
    if features is None or not len(features):
        return []
    if familiarity.images is None:
        return [] if familiarity.captions is None else [Remark("captions_alone", CAPTIONS_ALONE)]
    is_unlike = familiarity.images.is_unlike(signature(features)[None])[0]
    return [Remark("unlike_image", UNLIKE_IMAGE)] if is_unlike else []


def remarks_on_caption(
    caption: str,
    readers: Sequence[CaptionReader],
    language: str | None,
    familiarity: Familiarity,
    *,
    uses_images: bool = False,
    uses_captions: bool = True,
) -> list[Remark]:
    """Why a model may misread a caption; of language and unfamiliar words only the first that holds.

    Args:
        readers: how the model splits it into tokens; these must not truncate. None where it reads no captions.
        language: ISO 639 code of the language of the training captions; None if it is unknown.
        uses_images: whether the model reads images.
        uses_captions: whether its card says that it was trained on captions; of older cards, the statistics tell.
    """
    if not caption.strip():
        return [] if familiarity.captions is None or not readers else [Remark("no_caption", NO_CAPTION)]
    is_untold = familiarity.captions is None and familiarity.images is not None
    if uses_images and (not uses_captions or not readers or is_untold):
        return [Remark("images_alone", IMAGES_ALONE)]
    found = [warnings_for(caption, reader.tokenizer, reader.max_length) for reader in readers]
    remarks = [Remark(code, text) for code, text in dict(pair for warnings in found for pair in warnings).items()]
    if language is not None and is_foreign(caption, language):
        name = LANGUAGE_NAMES.get(language, language)
        return [*remarks, Remark("language", f"the caption is not in {name}, the language of the training captions")]
    if familiarity.captions is not None and familiarity.captions.is_unlike([caption])[0]:
        remarks.append(Remark("unlike_caption", UNLIKE_CAPTION))
    return remarks


def remarks_on_ranking(
    labels: Sequence[str], probabilities: np.ndarray, frequencies: Sequence[float] | None, targets: Sequence[str]
) -> list[Remark]:
    """Target emotions that no caption makes likelier than they are in the training pairs.

    Args:
        labels: E emotions.
        probabilities: (N, E) of N captions.
        frequencies: (E,) base rates; None if unknown.
        targets: some of the labels.

    >>> remarks_on_ranking(["happy", "sad"], np.array([[0.2, 0.6], [0.3, 0.1]]), [0.4, 0.5], ["happy", "sad"])[0].text
    'no caption raises "happy" above its base rate (40%)'
    """
    if frequencies is None or not len(probabilities):
        return []
    indices = [(list(labels).index(emotion), emotion) for emotion in targets]
    return [
        Remark("no_gain", f'no caption raises "{emotion}" above its base rate ({frequencies[index]:.0%})')
        for index, emotion in indices
        if probabilities[:, index].max() <= probabilities.dtype.type(frequencies[index])
    ]
