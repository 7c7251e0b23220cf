"""A rule that finds an emotion or a style by a few key words, as the least that a judge of captions must surpass.

The key words of a label are those with the highest z-score of the log-odds ratio with an informative Dirichlet prior
between captions with and without the label (Monroe, Colaresi and Quinn 2008, equations 16 to 22). The prior counts of
the words are those of all captions together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from emocap.captioning.tokenization import tokenize_all

N_WORDS = 25


@dataclass(frozen=True)
class KeyWordRule:
    """Scores a label by how many of its key words a caption contains.

    Attributes:
        words: for each of E labels its key words, the most typical first.
    """

    words: list[list[str]]

    @classmethod
    def fit(cls, captions: Sequence[str], targets: np.ndarray, n_words: int = N_WORDS) -> "KeyWordRule":
        """The key words of labels; fewer where fewer words are more frequent with the label than without.

        Args:
            captions: N texts.
            targets: (N, E), 0 to 1.

        >>> captions = ["a sad dog", "a sad cat", "a happy dog", "a happy cat"]
        >>> KeyWordRule.fit(captions, np.array([[1, 0], [1, 0], [0, 1], [0, 1]]), 2).words
        [['sad'], ['happy']]
        """
        tokens = tokenize_all(captions)
        vocabulary = sorted({word for words in tokens for word in words})
        column = {word: number for number, word in enumerate(vocabulary)}
        counts = np.zeros((targets.shape[1], len(vocabulary)))
        total = np.zeros(len(vocabulary))
        for words, row in zip(tokens, np.asarray(targets, dtype=np.float64), strict=True):
            for word in words:
                counts[:, column[word]] += row
                total[column[word]] += 1
        z = _z_scores(counts, total - counts, prior=total)
        order = np.argsort(-z, axis=1, kind="stable")[:, :n_words]
        return cls([[vocabulary[i] for i in row if z[label, i] > 0] for label, row in enumerate(order)])

    def __call__(self, captions: Sequence[str]) -> np.ndarray:
        """(n, E) number of distinct key words of each label in each of n captions."""
        word_sets = [set(words) for words in tokenize_all(captions)]
        return np.array([[len(own.intersection(words)) for words in self.words] for own in word_sets], dtype=np.float64)

    def lift_over(self, others: Sequence[str]) -> Callable[[Sequence[str]], np.ndarray]:
        """The numbers of key words less their mean over other captions, divided by their standard deviation there.

        The key words of a frequent emotion are frequent words, so that the plain numbers favour it whatever a caption
        says, as a judge's probabilities do.

        Args:
            others: one or more captions of other images.
        """
        counts = self(others)
        mean, spread = counts.mean(axis=0), counts.std(axis=0)
        return lambda captions: (self(captions) - mean) / np.where(spread > 0, spread, 1.0)


def _z_scores(inside: np.ndarray, outside: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(E, V) z-scores of the log-odds ratio from counts (E, V) with and without each label, and prior counts (V,)."""
    inside, outside = inside + prior, outside + prior
    n_inside, n_outside = (counts.sum(axis=1, keepdims=True) for counts in (inside, outside))
    with np.errstate(divide="ignore", invalid="ignore"):  # a vocabulary of one word has no odds
        difference = np.log(inside / (n_inside - inside)) - np.log(outside / (n_outside - outside))
        z = difference / np.sqrt(1 / inside + 1 / outside)
    return np.nan_to_num(z, nan=0.0)
