"""What captions of one photograph are labelled with by probability and by lift: the table of docs/LOG.md.

    python benchmarks/lift.py DATA

DATA holds `socratis/cleaned_data.csv`, and `captions.csv` and `factual.csv` in `flickrstyle`. A teacher, logistic
regression on MiniLM's sentence vectors of all Socratis captions, scores a factual, a humorous and a romantic caption of
each of 500 photographs, over which lifts are computed. Printed is how many of the four emotions kept for the humorous
caption are kept for the romantic one, too, how many emotions occur, and how well a logistic regression on the lifts
tells the two styles apart.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier

from emocap.corpora.read import read_corpus
from emocap.emotions import build_vocabulary
from emocap.evaluation.sentence_vectors import OFFLINE, sentence_vectors
from emocap.pseudo_labels.contrast import contrast
from emocap.pseudo_labels.lift import LiftScale, lift
from emocap.pseudo_labels.select import top_p_emotions

STYLES = ("factual", "humorous", "romantic")
N_IMAGES, P, FOLDS, SEED, N_BOOTSTRAP = 500, 4, 5, 0, 1000


def main(data: Path) -> None:
    """Print the table."""
    captions = captions_of(data / "flickrstyle")
    images = np.random.default_rng(SEED).permutation(sorted(captions))[:N_IMAGES].tolist()
    styles = np.repeat(STYLES, len(images))
    keys = np.array(images * len(STYLES))
    texts = [captions[image][style] for image, style in zip(keys, styles, strict=True)]
    probabilities, labels = scored(data / "socratis" / "cleaned_data.csv", texts)
    lifts = lift(probabilities, LiftScale.of(probabilities))
    styled = styles != "factual"
    print(
        f"| the {P} emotions kept by | shared by the two of a photograph | by two of other photographs "
        "| emotions that occur; the most frequent |"
    )
    print("| --- | --- | --- | --- |")
    for name, chosen in (
        ("probability", top_p_emotions(probabilities, P)),
        ("lift", top_p_emotions(probabilities, P, lifts)),
    ):
        found = contrast(chosen[styled], keys[styled].tolist())
        low, high = interval(chosen[styles == "humorous"], chosen[styles == "romantic"])
        shares = chosen.mean(axis=0)
        leading = ", ".join(f"{labels[i]} {shares[i]:.0%}" for i in np.argsort(-shares)[:P])
        print(
            f"| {name} | {found['same_image']:.2f} [{low:.2f}, {high:.2f}] | {found['other_images']:.2f} | "
            f"{contrast(chosen, keys.tolist())['n_occurring']} of {len(labels)}; {leading} |"
        )
    romantic = styles[styled] == "romantic"
    scores = cross_val_predict(
        LogisticRegression(max_iter=1000),
        lifts[styled],
        romantic,
        groups=keys[styled],
        cv=GroupKFold(FOLDS, shuffle=True, random_state=SEED),
        method="decision_function",
    )
    print(f"\nRomantic from humorous by the {len(labels)} lifts: AUC {roc_auc_score(romantic, scores):.3f}")


def captions_of(folder: Path) -> dict[str, dict[str, str]]:
    """Image to style to caption, for images that have all three; of the factual ones the first."""
    captions: dict[str, dict[str, str]] = {}
    for name, default in (("factual.csv", "factual"), ("captions.csv", None)):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                captions.setdefault(row["image"], {}).setdefault(default or row["style"], row["caption"])
    return {image: of for image, of in captions.items() if set(of) == set(STYLES)}


def scored(corpus: Path, texts: list[str]) -> tuple[np.ndarray, list[str]]:
    """(n, E) probabilities of the texts by a teacher of all pairs of the corpus, and the emotions."""
    pairs = read_corpus("socratis-csv", corpus)
    vocabulary = build_vocabulary(pairs.emotions, 1)
    vectors = sentence_vectors(OFFLINE)
    teacher = OneVsRestClassifier(LogisticRegression(max_iter=1000))
    teacher.fit(vectors(pairs.captions), pairs.targets(vocabulary) > 0)
    return teacher.predict_proba(vectors(texts)), list(vocabulary.labels)


def interval(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """The 95% bootstrap interval over images of the mean number of emotions that are in both rows."""
    shared = (one & other).sum(axis=1)
    drawn = np.random.default_rng(SEED).integers(0, len(shared), (N_BOOTSTRAP, len(shared)))
    low, high = np.percentile(shared[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    main(parser.parse_args().data)
