#!/usr/bin/env bash
# sacrebleu 2.6.0: an empty string among the references counts as a reference of no words, not as one that is missing.
#
# Captions have different numbers of references, and sacrebleu wants streams of equal length. Its docstring says that a
# reference "can be '' or None to allow the use of variable number of references per segment". None is left out; '' takes
# part, as a reference of length 0. BLEU takes the closest reference length, so that a caption at most half as long as
# its real reference loses its brevity penalty; TER divides by the mean length, which the empty reference halves. Files
# on the command line have no None, so there an empty line is always a reference of no words.
#
# Seen for a caption that is the first half of its only reference: BLEU 36.8 and TER 50 alone and with None, BLEU 100.0
# and TER 100 with ''; BLEU 100.0 too from two files, the second with an empty line.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sacrebleu==2.6.0
"$folder/venv/bin/python" - <<'PYTHON'
import sacrebleu

caption, reference = ["a dog runs fast"], ["a dog runs fast on the big beach"]
seen = {}
for name, more in {"alone": [], "None": [[None]], "''": [[""]]}.items():
    scores = (sacrebleu.corpus_bleu(caption, [reference, *more]), sacrebleu.corpus_ter(caption, [reference, *more]))
    seen[name] = tuple(round(score.score, 1) for score in scores)
print(seen)
assert seen["alone"] == seen["None"] == (36.8, 50.0)
assert seen["''"] == (100.0, 100.0), "changed: an empty string no longer counts as a reference"
PYTHON
cd "$folder"
echo "a dog runs fast" > captions.txt
echo "a dog runs fast on the big beach" > first.txt
echo > second.txt
score=$(venv/bin/sacrebleu first.txt second.txt --input captions.txt --score-only)
echo "two files: $score"
[ "$score" = 100.0 ] || { echo "changed: an empty line no longer counts as a reference"; exit 1; }
