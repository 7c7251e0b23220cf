#!/usr/bin/env bash
# torcheval 0.0.7: BLEU measures brevity against the shortest reference, not against the closest one.
#
# Papineni et al. (2002), sacrebleu, NLTK, torchmetrics and the COCO caption evaluation take, for each caption, the
# reference whose length is closest to it. torcheval's `bleu_score` takes the shortest. With the five references of a
# COCO image one short reference is common, and the brevity penalty then never applies: scores of the same captions are
# higher, and more so the more references there are. The documentation names no variant.
#
# Seen for a caption of 4 words that begins a reference of 5 words, with and without another reference of one word:
# torcheval 1.00 and 0.78, sacrebleu 0.78 and 0.78.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torcheval==0.0.7 torch==2.14.1 numpy==2.4.6 sacrebleu==2.6.0
"$folder/venv/bin/python" - <<'PYTHON'
import sacrebleu
from torcheval.metrics.functional import bleu_score

caption, long, short = "a dog runs fast", "a dog runs fast today", "dogs"
seen = {}
for name, references in {"both": [long, short], "one": [long]}.items():
    ours = float(bleu_score([caption], [references], n_gram=4))
    theirs = sacrebleu.corpus_bleu([caption], [[reference] for reference in references]).score / 100
    seen[name] = (round(ours, 2), round(theirs, 2))
print(seen)
assert seen["one"] == (0.78, 0.78)
assert seen["both"] == (1.0, 0.78), "changed: the brevity penalty takes another reference"
PYTHON
