"""Does a model that learned from no image label see whether a photograph is pleasant? On Twitter and OASIS.

    python benchmarks/photograph_valence.py RUN_OR_MODEL --twitter TWITTER --oasis OASIS

TWITTER is the folder of the photographs of You et al. 2015 (twitter.csv, images), of which those with five raters of
one mind are taken; OASIS that of Kurdi et al. 2017 (oasis.csv, images). Every photograph is given with the same
caption, so that the caption decides nothing. Its score is the mean log-odds of the positive emotions less that of the
negative ones. The emotions are Socratis' 29 without those of no clear sign: curious, interested, intrigued, neutral and
nostalgic.
Intervals are those of 2.5% and 97.5% over 2,000 bootstrap draws of photographs.
"""

import argparse
import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from emocap import EmotionPredictor
from emocap.errors import EmocapError

POSITIVE = [
    "happy",
    "excited",
    "proud",
    "hopeful",
    "inspired",
    "good",
    "calm",
    "beautiful",
    "awe",
    "impressed",
    "amazed",
    "joy",
]
NEGATIVE = [
    "sad",
    "angry",
    "worried",
    "concerned",
    "bored",
    "scared",
    "anger",
    "upset",
    "disgusted",
    "fear",
    "annoyed",
    "confused",
]
N_DRAWS, SMALLEST = 2000, 1e-6
Statistic = Callable[[np.ndarray, np.ndarray], float]


def valence_scores(predictor: EmotionPredictor, images: Sequence[Path], caption: str) -> np.ndarray:
    """(N,) mean log-odds of the positive less that of the negative emotions.

    Raises:
        EmocapError: the model has no positive or no negative emotion of the lists.
    """
    chosen = [[emotion for emotion in group if emotion in predictor.labels] for group in (POSITIVE, NEGATIVE)]
    if not all(chosen):
        raise EmocapError(f"the model predicts {', '.join(predictor.labels)}, but none of one of the lists of emotions")
    scores = []
    for prediction in predictor.predict_many([(image, caption) for image in images]):
        probability = {one.emotion: one.probability for one in prediction}
        positive, negative = (np.array([probability[emotion] for emotion in group]) for group in chosen)
        scores.append(log_odds(positive).mean() - log_odds(negative).mean())
    return np.array(scores)


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """The logits of probabilities, which are kept away from 0 and 1.

    >>> log_odds(np.array([0.5, 0.9])).round(3).tolist()
    [0.0, 2.197]
    """
    p = np.clip(probabilities.astype(np.float64), SMALLEST, 1 - SMALLEST)
    return np.log(p) - np.log1p(-p)


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    return float(roc_auc_score(truth, scores))


def pearson_r(truth: np.ndarray, scores: np.ndarray) -> float:
    return float(np.corrcoef(truth, scores)[0, 1])


def interval(statistic: Statistic, truth: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """The 95% bootstrap interval over photographs; draws without both classes are drawn again.

    >>> truth = np.arange(50.0)
    >>> interval(pearson_r, truth, 2 * truth) == (1.0, 1.0)
    True
    """
    generator = np.random.default_rng(0)
    values: list[float] = []
    while len(values) < N_DRAWS:
        rows = generator.integers(0, len(truth), len(truth))
        if np.ptp(truth[rows]) > 0:
            values.append(round(statistic(truth[rows], scores[rows]), 9))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="run directory or model folder")
    parser.add_argument("--twitter", type=Path, required=True)
    parser.add_argument("--oasis", type=Path, required=True)
    parser.add_argument("--caption", default="A photograph.", help="given with every photograph")
    arguments = parser.parse_args()
    predictor = EmotionPredictor.from_pretrained(arguments.model)
    twitter = [row for row in rows_of(arguments.twitter / "twitter.csv") if row["agree"] == "5"]
    oasis = rows_of(arguments.oasis / "oasis.csv")
    cases: list[tuple[str, Path, list[dict[str, str]], np.ndarray, Statistic]] = [
        (
            "Twitter, positive or negative: ROC AUC",
            arguments.twitter,
            twitter,
            np.array([row["emotions"] == "positive" for row in twitter]).astype(float),
            roc_auc,
        ),
        (
            "OASIS, mean valence: Pearson's r",
            arguments.oasis,
            oasis,
            np.array([float(row["valence_mean"]) for row in oasis]),
            pearson_r,
        ),
    ]
    print("| photographs | n | value | 95% interval |\n| --- | --- | --- | --- |")
    for name, folder, rows, truth, statistic in cases:
        scores = valence_scores(predictor, [folder / "images" / row["image"] for row in rows], arguments.caption)
        low, high = interval(statistic, truth, scores)
        print(f"| {name} | {len(rows)} | {statistic(truth, scores):.3f} | {low:.3f} to {high:.3f} |", flush=True)


if __name__ == "__main__":
    main()
