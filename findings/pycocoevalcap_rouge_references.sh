#!/usr/bin/env bash
# pycocoevalcap 1.2: its ROUGE-L takes precision from one reference and recall from another.
#
# With several references (COCO has five per image) it combines the best precision over all of them with the best recall
# over all of them. A caption that equals no reference can thus score 1: a long reference that contains the caption
# gives the precision, a short one that the caption contains gives the recall. The score is not the maximum over
# references, and captions with different numbers of references are not comparable.
#
# Seen: "dogs run" scores 0.53 against "dogs run on the beach", 0.71 against "dogs", 1.00 against both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycocoevalcap==1.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
from pycocoevalcap.rouge.rouge import Rouge


def rouge_l(*references: str) -> float:
    """Of the caption "dogs run"."""
    return float(Rouge().compute_score({1: list(references)}, {1: ["dogs run"]})[0])


long, short = "dogs run on the beach", "dogs"
print(f"{rouge_l(long):.2f} {rouge_l(short):.2f} {rouge_l(long, short):.2f}")
assert abs(rouge_l(long) - 0.5304) < 0.001 and abs(rouge_l(short) - 0.7093) < 0.001
assert rouge_l(long, short) == 1, "changed: precision and recall are of the same reference"
PYTHON
