#!/usr/bin/env bash
# scikit-learn 1.9.1: the chance level of average precision that it draws is lower than what scores of chance reach.
#
# `PrecisionRecallDisplay` labels its chance level with the frequency of positives, which is also what constant scores
# such as those of `DummyClassifier(strategy="prior")` reach, because equal scores share one threshold. Scores without
# ties that know nothing reach more on average, (H_n + (n - H_n)(k - 1) / (n - 1)) / n for k positives of n rows with the
# harmonic number H_n, since the precision at the first positives is high whenever one comes early. A model of noise is
# therefore above the chance level in most test sets, and a paired comparison with the dummy says that it is better.
#
# Seen: rows, positives, chance level in the figure, mean average precision of 2,000 random scores, share above it.
#     50    5  0.10  0.167  78%
#    200   20  0.10  0.122  72%
#   1000   10  0.01  0.017  76%
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 matplotlib==3.10.3

cat > "$folder/check.py" <<'PYTHON'
import re

import matplotlib
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import PrecisionRecallDisplay, average_precision_score

matplotlib.use("Agg")
rng = np.random.default_rng(0)
for n, k in ((50, 5), (200, 20), (1000, 10)):
    truth = np.arange(n) < k
    scores = rng.random((2000, n))
    display = PrecisionRecallDisplay.from_predictions(truth, scores[0], plot_chance_level=True)
    legend = display.ax_.get_legend().get_texts()[-1].get_text()
    level = float(re.search(r"AP = ([0-9.]+)", legend).group(1))
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((n, 1)), truth)
    constant = average_precision_score(truth, dummy.predict_proba(np.zeros((n, 1)))[:, 1])
    reached = np.array([average_precision_score(truth, each) for each in scores])
    harmonic = np.sum(1 / np.arange(1, n + 1))
    expected = (harmonic + (n - harmonic) * (k - 1) / (n - 1)) / n
    print(f"{n:5} {k:4}  {level:.2f}  {reached.mean():.3f}  {np.mean(reached > k / n):.0%}")
    assert level == round(constant, 2) == round(k / n, 2), f"changed: the chance level, {legend}"
    assert abs(reached.mean() - expected) < 4 * reached.std() / 2000**0.5, "changed: average precision of chance"
    assert np.mean(reached > k / n) > 0.6, "changed: how often chance is above the level"
PYTHON
"$folder/venv/bin/python" "$folder/check.py"
