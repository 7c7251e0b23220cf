"""EmotionPredictor: predicts the emotions and ratings that an image with a caption evokes, and explains them."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from emocap.api.caption_checks import check_caption
from emocap.api.explanation import Explanation, explain_pair
from emocap.api.images import ImageInput, ImageSource, image_source, model_extractor
from emocap.api.model_facts import ModelFacts
from emocap.api.model_folders import caption_refused, image_refused
from emocap.api.prediction import Prediction, predictions_of
from emocap.api.prediction_inputs import predict_inputs
from emocap.api.remarks import (
    Remark,
    remarks_on_caption,
    remarks_on_image,
    remarks_on_model,
    remarks_on_ranking,
)
from emocap.api.requested_emotions import output_index, resolve_emotions
from emocap.captioning.generation import batch_slices
from emocap.classifiers.base import CaptionReader, Classifier
from emocap.classifiers.familiarity import Familiarity, read_familiarity
from emocap.classifiers.included import included_model
from emocap.classifiers.load import load_classifier
from emocap.errors import EmocapError
from emocap.regions.describe import Prepared, prepare_source
from emocap.regions.extractors.base import Extractor, Regions
from emocap.regions.images import MAX_PIXELS


class EmotionPredictor(ModelFacts):
    """Predicts the emotions that an image with a caption evokes.

    `included` loads a model that emocap brings along, `from_pretrained` one from a run directory or a model folder.
    `len(predictor)` is the number of its outputs, which are emotions and ratings.

    >>> predictor = EmotionPredictor.from_pretrained(model_folder)
    >>> for prediction in predictor.predict(image_path, "the dog waits alone at night"):
    ...     print(prediction.emotion, round(prediction.probability, 1))
    sad 0.9
    awe 0.2
    happy 0.1
    """

    def __init__(self, classifier: Classifier, allow_other_features: bool = False) -> None:
        self._classifier = classifier
        self._allow_other_features = allow_other_features

    @classmethod
    def included(
        cls, name: Literal["small", "large"] | None = None, *, reads_images: bool = True
    ) -> "EmotionPredictor":
        """Load a model that emocap includes; `emocap models` lists them with their scores.

        Args:
            name: None loads the best one whose backbone is installed.
            reads_images: whether None prefers models that learned from images; without images give False.

        Raises:
            EmocapError: what it needs is not installed; the error names the command that installs it.
        """
        return cls(load_classifier(included_model(name, reads_images=reads_images).folder))

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, allow_other_features: bool = False) -> "EmotionPredictor":
        """Load a model that a study saved, of any kind.

        Args:
            folder: a run directory, for the model that it recommends; or a model's folder in one, such as `RUN/AnB+`,
                `RUN/AnB+/model` or `RUN/baselines/tfidf`.
            allow_other_features: only warn if the extractor's weights differ from those of the training.

        Raises:
            EmocapError: not a model folder, or a damaged one.

        >>> EmotionPredictor.from_pretrained(model_folder).labels
        ('happy', 'sad', 'awe')
        """
        return cls(load_classifier(folder), allow_other_features)

    def __call__(
        self,
        pairs: Any,
        captions: str | Sequence[str] | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        images: str | Path | None = None,
    ) -> Any:
        """Predict for whatever is at hand.

        Args:
            pairs: with `captions`, an image as for `predict`. Without them a caption, a list of captions, a list of
                (image, caption), or a pandas or polars `DataFrame` with the columns `caption` and, optionally, `image`.
            captions: one caption of the image, or several.
            columns: of a data frame: other names of the columns, such as `{"caption": "text"}`.
            images: of a data frame: folder that the names of its images are relative to.

        Returns:
            A `Prediction` for one pair, a list of them for several. For a data frame one of its kind with its index, a
            column of probabilities for each emotion, and a column `rating_NAME` for each rating; rows that cannot be
            used are missing values there, and a warning says how many.

        Raises:
            EmocapError: as `predict`, or the data frame lacks a column.

        >>> predictor = EmotionPredictor.from_pretrained(model_folder)
        >>> captions = ["the child celebrates in the sun", "the dog waits alone at night"]
        >>> [prediction[0].emotion for prediction in predictor(image_path, captions)]
        ['happy', 'sad']
        >>> [prediction[0].emotion for prediction in predictor(captions)]
        ['happy', 'sad']
        """
        return predict_inputs(self, pairs, captions, columns, images)

    def predict(self, image: ImageInput, caption: str = "") -> Prediction:
        """The probability of every emotion, highest first, and the ratings (`Prediction.ratings`).

        Args:
            image: a file, its bytes, an open binary file, a Pillow image, an array of uint8 (height, width, 3) in RGB
                (OpenCV gives BGR: `array[..., ::-1]`), (height, width, 4) in RGBA or (height, width) in grey, the
                result of `prepare` or `regions` for one, or None to use only the caption.
            caption: any text; empty for an image alone.

        Raises:
            EmocapError: the image cannot be read, the model uses no images, there is neither image nor caption, or no
                image for a model of images alone.

        >>> predictor = EmotionPredictor.from_pretrained(model_folder)
        >>> best, *others = predictor.predict(image_path, "the child celebrates in the sun")
        >>> best.emotion, round(best.probability, 1)
        ('happy', 0.9)
        """
        return self.predict_many([(image, caption)])[0]

    def predict_many(self, pairs: Sequence[tuple[ImageInput, str]]) -> list[Prediction]:
        """`predict` for several pairs in one batch, in their order.

        >>> predictor = EmotionPredictor.from_pretrained(model_folder)
        >>> pairs = [(image_path, "the child celebrates in the sun"), (None, "the dog waits alone at night")]
        >>> [predictions[0].emotion for predictions in predictor.predict_many(pairs)]
        ['happy', 'sad']
        """
        if not pairs:
            return []
        for number, (image, caption) in enumerate(pairs, 1):
            check_caption(caption, f"pair {number}: ", may_be_empty=image is not None)
        features = self.features([image for image, _ in pairs])
        return self.with_labels(self.pair_outputs(features, [caption for _, caption in pairs]))

    def with_labels(self, outputs: np.ndarray) -> list[Prediction]:
        """(N, E + R) outputs of `pair_outputs` as predictions, with the names of emotions and ratings.

        >>> predictor = EmotionPredictor.from_pretrained(model_folder)
        >>> predictor.with_labels(np.array([[0.2, 0.7, 0.4]]))[0][0]
        EmotionProbability(emotion='sad', probability=0.7)
        """
        return predictions_of(self.labels, self._classifier.ratings, outputs)

    def probabilities_for(self, features: np.ndarray | None, captions: Sequence[str]) -> np.ndarray:
        """(N, E) calibrated probabilities of N captions of one image, emotions as in `labels`.

        Args:
            features: (R, D) of the image, by `features`; None to use only the captions.

        >>> predictor = EmotionPredictor.from_pretrained(model_folder)
        >>> (features,) = predictor.features([image_path])
        >>> captions = ["the child celebrates in the sun", "the dog waits alone at night"]
        >>> [[round(p, 1) for p in row] for row in predictor.probabilities_for(features, captions).tolist()]
        [[0.9, 0.1, 0.4], [0.1, 0.9, 0.2]]
        """
        return self.pair_probabilities([features] * len(captions), captions)

    def pair_probabilities(self, features: Sequence[np.ndarray | None], captions: Sequence[str]) -> np.ndarray:
        """(N, E) float32 calibrated probabilities of N pairs, emotions as in `labels`; arguments as `pair_outputs`.

        >>> predictor = EmotionPredictor.from_pretrained(model_folder)
        >>> predictor.pair_probabilities([None], ["the dog waits alone at night"]).shape
        (1, 3)
        """
        return self.pair_outputs(features, captions)[:, : len(self.labels)]

    def pair_outputs(self, features: Sequence[np.ndarray | None], captions: Sequence[str]) -> np.ndarray:
        """(N, E + R) float32 of N pairs: probabilities as in `labels`, then the ratings from 0 to 1 on their scales.

        Args:
            features: N times (regions, D) by `features`, or None.
            captions: N texts.

        Raises:
            EmocapError: no pairs, or different lengths.

        >>> predictor = EmotionPredictor.from_pretrained(model_folder)
        >>> predictor.pair_outputs([None], ["the dog waits alone at night"]).shape
        (1, 3)
        """
        if len(features) != len(captions) or not len(captions):
            raise EmocapError(
                f"{len(features)} images and {len(captions)} captions; give the same number, at least one"
            )
        return self._classifier.probabilities(features, captions)

    def caption_warnings(self, caption: str) -> list[str]:
        """The texts of the remarks on a caption alone: reasons why the model may misread it.

        >>> EmotionPredictor.from_pretrained(model_folder).caption_warnings("привет")
        ['the caption consists mostly of words that the model does not know']
        """
        return [remark.text for remark in self.remarks(None, caption)]

    def remarks(self, image: ImageInput, caption: str) -> list[Remark]:
        """Why the prediction for a pair may be unreliable: of the image, then of the caption.

        Args:
            image: as for `predict`; `regions` gives one whose features are not computed again.

        >>> predictor = EmotionPredictor.from_pretrained(model_folder)
        >>> [remark.code for remark in predictor.remarks(image_path, "привет")]
        ['unknown_words']
        """
        language, familiarity = self._classifier.card.language, self._familiarity
        is_shown = self.uses_images and image is not None
        image_remarks = self.image_remarks(self.features([image])[0]) if is_shown else []
        reads = {"uses_images": self.uses_images, "uses_captions": self.uses_captions}
        return image_remarks + remarks_on_caption(caption, self._readers, language, familiarity, **reads)

    def image_remarks(self, features: np.ndarray | None) -> list[Remark]:
        """The remarks on an image alone.

        Args:
            features: (R, D) of the image, by `features`; None without an image.

        >>> EmotionPredictor.from_pretrained(model_folder).image_remarks(None)
        []
        """
        return remarks_on_image(self._familiarity, features)

    def ranking_remarks(self, image: ImageInput, captions: Sequence[str], emotions: Sequence[str]) -> list[Remark]:
        """The target emotions that none of N captions of an image makes likelier than their base rate.

        Args:
            image: as for `predict`.
            captions: N texts.
            emotions: some of `labels`.

        Raises:
            EmocapError: as `predict`; or an emotion is unknown.

        >>> predictor = EmotionPredictor.from_pretrained(model_folder)
        >>> remarks = predictor.ranking_remarks(image_path, ["the dog waits alone at night"], emotions=["happy"])
        >>> print(remarks[0].text)
        no caption raises "happy" above its base rate (50%)
        """
        targets, _ = resolve_emotions(self.labels, emotions)
        (features,) = self.features([image]) if self.uses_images else [None]
        probabilities = self.probabilities_for(features, captions)
        return remarks_on_ranking(self.labels, probabilities, self.frequencies, [self.labels[i] for i in targets])

    def model_remarks(self) -> list[Remark]:
        """What limits all predictions of the model, such as that it was trained on drawn scenes.

        >>> EmotionPredictor.from_pretrained(model_folder).model_remarks()
        []
        """
        return remarks_on_model(self._classifier.card)

    def require_features(self, fingerprint: str, dim: int) -> None:
        """Refuse region features that differ from those of the training, unless `allow_other_features` is set.

        Args:
            fingerprint: of a feature store.
            dim: of the features.

        Raises:
            EmocapError: the fingerprints differ.

        >>> predictor = EmotionPredictor.from_pretrained(model_folder)
        >>> predictor.require_features("0123456789abcdef", 2048)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        emocap.errors.EmocapError: ...: trained on features of dimension 16, these have 2048
        """
        self._classifier.require_features(fingerprint, dim, allow_other=self._allow_other_features)

    def features(self, images: Sequence[ImageInput]) -> list[np.ndarray | None]:
        """The (R, D) float16 region features of each image, None without an image.

        >>> (features,) = EmotionPredictor.from_pretrained(model_folder).features([image_path])
        >>> features.shape
        (3, 16)
        """
        return [None if regions is None else regions.features.astype(np.float16) for regions in self.regions(images)]

    def regions(self, images: Sequence[ImageInput]) -> list[Regions | None]:
        """The regions of each image with boxes and features, None without an image.

        Raises:
            EmocapError: as `predict`.

        >>> (regions,) = EmotionPredictor.from_pretrained(model_folder).regions([image_path])
        >>> regions.boxes_xyxy.tolist()
        [[0.0, 0.0, 30.0, 40.0], [30.0, 0.0, 60.0, 40.0], [0.0, 0.0, 60.0, 40.0]]
        """
        if not self.uses_images and any(isinstance(image, Regions) for image in images):
            raise EmocapError(image_refused(self.folder))
        if not self.uses_captions and any(image is None for image in images):
            raise EmocapError(caption_refused(self.folder))
        prepared = [self.prepare(image) for image in images if image is not None and not isinstance(image, Regions)]
        described: list[Regions] = []
        size = self._extractor.batch_size if prepared else 1
        for rows in batch_slices(len(prepared), size):
            batch = prepared[rows]
            described += self._extractor.describe([item.value for item in batch], [item.size for item in batch])
        remaining = iter(described)
        return [image if image is None or isinstance(image, Regions) else next(remaining) for image in images]

    def prepare(self, image: ImageSource | Prepared, *, max_pixels: int = MAX_PIXELS) -> Prepared:
        """Decode an image: the part of `regions` that is safe in several threads at once.

        Args:
            image: as for `predict`.
            max_pixels: larger images are refused.

        Raises:
            EmocapError: it cannot be read, is too large, or the model uses no images.

        >>> EmotionPredictor.from_pretrained(model_folder).prepare(image_path).size
        (60, 40)
        """
        if isinstance(image, Prepared):
            return image
        source = image_source(image)
        if isinstance(source, Image.Image) and source.width * source.height > max_pixels:
            raise EmocapError(
                f"image of {source.width} x {source.height} pixels: more than {max_pixels:,} pixels; make it smaller"
            )
        return prepare_source(source, self._extractor, max_pixels=max_pixels)

    def explain(
        self,
        image: ImageInput,
        caption: str,
        emotion: str | None = None,
        *,
        between: Callable[[], None] | None = None,
    ) -> Explanation:
        """The effects of words and regions on an emotion or a rating, and those of other wordings.

        Effects are integrated gradients of a neural network, else the changes as each word or region is deleted.

        Args:
            image: as for `predict`.
            emotion: one of `labels` or of `ratings`; None takes the most probable emotion, of a model without emotions
                the first rating.
            between: called between the model's forward passes, which are short, so that other work, such as predictions
                of the same model, can run in the same thread.

        Raises:
            EmocapError: as `predict`; or the emotion is unknown.

        >>> predictor = EmotionPredictor.from_pretrained(model_folder)
        >>> explanation = predictor.explain(image_path, "the dog waits alone at night", emotion="sad")
        >>> max(explanation.words, key=lambda word: word.effect).word
        'waits'
        """
        check_caption(caption, may_be_empty=image is not None)
        requested = [] if emotion is None else [output_index(self.labels, list(self.ratings), emotion)]
        (regions,) = self.regions([image])
        return explain_pair(self._classifier, regions, caption, requested[0] if requested else None, between)

    @cached_property
    def _readers(self) -> list[CaptionReader]:
        """Copies that never truncate: a tokenizer stores its truncation, so that sharing one is not thread-safe."""
        return copy.deepcopy(self._classifier.readers)

    @cached_property
    def _familiarity(self) -> Familiarity:
        """What the model's training data look like."""
        return read_familiarity(self.folder)

    @cached_property
    def _extractor(self) -> Extractor:
        """The extractor of the features that the model was trained on; built for the first image."""
        return model_extractor(self._classifier, allow_other=self._allow_other_features)
