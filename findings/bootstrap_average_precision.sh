#!/usr/bin/env bash
# scipy 1.17.1 with scikit-learn 1.9.1: `bootstrap` of average precision, method "percentile", is biased upwards.
#
# A resample holds some pairs twice, and two copies of a positive pair raise each other's precision, so the average
# precision of resamples exceeds that of the sample on average. The interval between percentiles of resamples is
# therefore too high. A mean over pairs, such as accuracy, has no such bias. Subtracting the bootstrap's estimate of the
# bias helps.
#
# Seen, 20 samples of 300 pairs with 10% positives, 100 resamples each: the mean over resamples exceeds the sample's
# value by 0.0164 (standard error 0.0024) for average precision, which is 0.331, and by 0.0004 (0.0006) for accuracy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 scikit-learn==1.9.1 scipy==1.17.1
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from scipy.stats import bootstrap
from sklearn.metrics import average_precision_score


def accuracy(labels: np.ndarray, scores: np.ndarray) -> float:
    """Share of pairs on the right side of a threshold of 1."""
    return float(np.mean((scores > 1) == labels))


random = np.random.default_rng(0)
for metric, biased in ((average_precision_score, True), (accuracy, False)):
    values, biases = [], []
    for _ in range(20):
        labels = random.random(300) < 0.1
        scores = random.standard_normal(300) + labels
        result = bootstrap(
            (labels, scores), metric, paired=True, vectorized=False, n_resamples=100, method="percentile", rng=random
        )
        values.append(metric(labels, scores))
        biases.append(result.bootstrap_distribution.mean() - values[-1])
    print(f"{metric.__name__}: {np.mean(values):.3f}, bootstrap's bias {np.mean(biases):+.4f}", end=" ")
    print(f"with a standard error of {np.std(biases, ddof=1) / np.sqrt(len(biases)):.4f}")
    assert (np.mean(biases) > 0.006) == biased, "changed: another metric than average precision is biased, or it is not"
PYTHON
