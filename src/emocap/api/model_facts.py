"""What a loaded model says of itself, and how a notebook shows it: the base of `EmotionPredictor`."""

from html import escape
from pathlib import Path

from emocap.classifiers.base import Classifier


class ModelFacts:
    """What a loaded model predicts, what it was trained on, and where it is from."""

    _classifier: Classifier

    def __repr__(self) -> str:
        card = self._classifier.card
        return f"EmotionPredictor({card.run}, kind {card.kind}, {self._outputs}, from {self.folder})"

    def __len__(self) -> int:
        """The number of its outputs, emotions and ratings: the columns of a table of predictions."""
        return len(self.labels) + len(self.ratings)

    def _repr_html_(self) -> str:
        reads = " and ".join(
            what for what, is_read in (("images", self.uses_images), ("captions", self.uses_captions)) if is_read
        )
        rows = {
            "model": self.name,
            "predicts": self._outputs,
            "emotions": ", ".join(self.labels),
            "ratings": ", ".join(f"{name} ({low:g} to {high:g})" for name, (low, high) in self.ratings.items()),
            "reads": reads,
            "folder": str(self.folder),
        }
        cells = [f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in rows.items() if text]
        return f"<table><caption>EmotionPredictor</caption>{''.join(cells)}</table>"

    @property
    def _outputs(self) -> str:
        return f"{len(self.labels)} emotions" + (f", {len(self.ratings)} ratings" if self.ratings else "")

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that the model predicts, in their fixed order; none for a model of ratings alone.

        >>> EmotionPredictor.from_pretrained(model_folder).labels
        ('happy', 'sad', 'awe')
        """
        return self._classifier.vocabulary.labels

    @property
    def ratings(self) -> dict[str, tuple[float, float]]:
        """The ratings that the model predicts, each with the lowest and highest value of its scale.

        >>> EmotionPredictor.from_pretrained(model_folder).ratings
        {}
        """
        return {rating.name: (rating.low, rating.high) for rating in self._classifier.ratings}

    @property
    def folder(self) -> Path:
        """The folder that the model was loaded from.

        >>> EmotionPredictor.from_pretrained(model_folder).folder.name
        'model'
        """
        return self._classifier.folder

    @property
    def name(self) -> str:
        """The model's name in its study.

        >>> EmotionPredictor.from_pretrained(model_folder).name
        'AnB+'
        """
        return self._classifier.card.run

    @property
    def frequencies(self) -> list[float] | None:
        """Share of the training pairs that name each emotion; None if unknown.

        >>> EmotionPredictor.from_pretrained(model_folder).frequencies
        [0.5, 0.3, 0.2]
        """
        return self._classifier.card.frequencies

    @property
    def language(self) -> str | None:
        """ISO 639 code of the language of the training captions; None if it is unknown.

        >>> print(EmotionPredictor.from_pretrained(model_folder).language)
        None
        """
        return self._classifier.card.language

    @property
    def uses_images(self) -> bool:
        """Whether the model was trained on images as well as captions.

        >>> EmotionPredictor.from_pretrained(model_folder).uses_images
        True
        """
        return self._classifier.uses_images

    @property
    def uses_captions(self) -> bool:
        """Whether the model was trained on captions; one of images alone refuses a caption without an image.

        >>> EmotionPredictor.from_pretrained(model_folder).uses_captions
        True
        """
        return self._classifier.uses_captions
