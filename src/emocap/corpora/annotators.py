"""Emotions per annotator, for corpora that keep annotators separate (such as Socratis' official JSON)."""

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary, clean_emotion
from emocap.errors import EmocapError


def annotator_emotions(pairs: Pairs, vocabulary: Vocabulary) -> list[list[list[int] | None]]:
    """For each pair and annotator the indices of the named emotions, in the order written, without repeats.

    Words that are no label of the vocabulary as they are are cleaned like free text; what is still outside it is
    ignored. An annotator who named nothing has an empty list, which is an answer: the pair evokes nothing. None stands
    for an annotator whose words are all outside the vocabulary, or who has no list of words: the answer is unknown. A
    pair without annotations has an empty list of annotators.
    """
    index = {label: number for number, label in enumerate(vocabulary.labels)}
    by_pair = []
    for annotations in pairs.table["annotations"].to_pylist():
        people: list[list[int] | None] = []
        for annotation in annotations or []:
            words = (word if word in index else clean_emotion(word) for word in annotation["emotions"] or [])
            known = list(dict.fromkeys(index[word] for word in words if word in index))
            people.append(known if known or annotation["emotions"] == [] else None)
        by_pair.append(people)
    return by_pair


def vote_shares(pairs: Pairs, vocabulary: Vocabulary) -> np.ndarray:
    """(N, E) float32: the share of a pair's annotators who named the emotion.

    Those who named none, or none that the vocabulary has, count too.

    Raises:
        EmocapError: a pair has no separate annotators.
    """
    shares = np.zeros((len(pairs), len(vocabulary)), dtype=np.float32)
    for row, people in enumerate(annotator_emotions(pairs, vocabulary)):
        if not people:
            raise EmocapError(
                f"pair {pairs.pair_ids[row]}: has no separate annotators; label_aggregation: votes needs a corpus that "
                "keeps annotators separate, such as the official Socratis JSON"
            )
        for named in people:
            shares[row, named or []] += 1
        shares[row] /= len(people)
    return shares
