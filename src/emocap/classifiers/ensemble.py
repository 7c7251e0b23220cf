"""An ensemble as a classifier: the mean of the logits of its members, which are model folders of their own."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from emocap.classifiers.base import CaptionReader, Classifier
from emocap.classifiers.places import folder_below, run_directory
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.evaluation.averaging import mean_of_logits
from emocap.files import atomic_folder, write_json
from emocap.training.card_file import CARD
from emocap.training.checkpoint import ModelCard, read_card

ENSEMBLE = "ensemble"


class EnsembleClassifier(Classifier):
    """The mean of the members' logits; each member is a classifier of any kind with the same emotions."""

    def __init__(self, card: ModelCard, folder: Path, members: Sequence[Classifier]) -> None:
        super().__init__(card, folder)
        self.members = members
        self.n_networks = sum(member.n_networks for member in members)

    @classmethod
    def load(cls, folder: Path, load_member: Callable[[Path], Classifier]) -> "EnsembleClassifier":
        """Load a model folder of the kind "ensemble" with its members.

        Args:
            load_member: loads a model folder.

        Raises:
            EmocapError: no member, one that is missing, damaged or leaves the run directory, or other emotions or
                region features than the ensemble's.
        """
        card = read_card(folder)
        path = folder / CARD
        if not card.members:
            raise EmocapError(f"{path}: an ensemble without members; run the study again")
        fingerprint = None if card.features is None else card.features["fingerprint"]
        members = []
        for name in card.members:
            place = folder_below(folder, name, run_directory(folder) or folder, path)
            if not (place / CARD).is_file():
                raise EmocapError(f"{path}: its member {name} is missing; restore it, or run the study again")
            member = load_member(place)
            Vocabulary(tuple(card.labels)).require_same(member.vocabulary.labels, str(member.folder))
            if member.card.ratings != card.ratings:
                raise EmocapError(f"{path}: its member {name} predicts other ratings; run the study again")
            if member.card.features is not None and member.card.features["fingerprint"] != fingerprint:
                raise EmocapError(f"{path}: its member {name} reads other region features; run the study again")
            members.append(member)
        return cls(card, folder, members)

    @property
    def readers(self) -> list[CaptionReader]:
        """Those of all members."""
        return [reader for member in self.members for reader in member.readers]

    def raw_probabilities(
        self, features: Sequence[np.ndarray | None], captions: Sequence[str], progress: str | None = None
    ) -> np.ndarray:
        """As `Classifier.raw_probabilities`; the members' probabilities are calibrated first where the card says so."""
        predictions = []
        for number, member in enumerate(self.members, 1):
            work = None if progress is None else f"{progress}, member {number} of {len(self.members)}"
            predict = member.probabilities if self.card.calibrated_members else member.raw_probabilities
            predictions.append(predict(features, captions, work))
        return mean_of_logits(predictions).astype(np.float32)


def save_ensemble(folder: Path, card: ModelCard) -> None:
    """Write an ensemble's model folder atomically; its members are those of the card."""
    with atomic_folder(folder) as temporary:
        write_json(temporary / CARD, asdict(card))
