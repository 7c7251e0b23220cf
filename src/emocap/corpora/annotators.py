"""What each annotator of a pair felt, where the corpus keeps annotators apart (Socratis' official JSON does)."""

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary, clean_emotion
from emocap.errors import EmocapError


def annotator_emotions(pairs: Pairs, vocabulary: Vocabulary) -> list[list[list[int]]]:
    """For each pair and annotator the indices of the emotions named, in the order written, each once.

    Words are cleaned as the pairs' own emotions are; those outside the vocabulary are left out, so that an annotator
    without a known emotion is an empty list. A pair without annotations is an empty list of annotators.
    """
    index = {label: number for number, label in enumerate(vocabulary.labels)}
    found = []
    for annotations in pairs.table["annotations"].to_pylist():
        people = []
        for annotation in annotations or []:
            words = (clean_emotion(word) for word in annotation["emotions"] or [])
            people.append(list(dict.fromkeys(index[word] for word in words if word in index)))
        found.append(people)
    return found


def vote_shares(pairs: Pairs, vocabulary: Vocabulary) -> np.ndarray:
    """(N, E) float32: the share of a pair's annotators that named the emotion; those who named none count too.

    Raises:
        EmocapError: a pair's annotators are not kept apart.
    """
    shares = np.zeros((len(pairs), len(vocabulary)), dtype=np.float32)
    for row, people in enumerate(annotator_emotions(pairs, vocabulary)):
        if not people:
            raise EmocapError(
                f"pair {pairs.pair_ids[row]}: its annotators are not kept apart; targets: votes needs a corpus that "
                "keeps annotators apart, such as the official Socratis JSON"
            )
        for named in people:
            shares[row, named] += 1
        shares[row] /= len(people)
    return shares
