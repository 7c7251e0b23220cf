#!/usr/bin/env bash
# webdataset 1.0.2: a seed either repeats one order in every epoch or does not make a run reproducible.
#
# `WebDataset(urls, shardshuffle=n, seed=s)` shuffles the shards in the same order in every epoch, since each epoch starts
# a new generator from the seed. The samples of `.shuffle(n)` behind it do not use that seed: they differ in every run.
# `.shuffle(n, seed=s)` makes runs equal, but then every epoch has the same order of samples too. The orders that one
# expects, which differ by epoch and not by run, are those of `detshuffle`, for shards and for samples.
#
# Seen, 4 shards of 4 samples, two epochs in each of two runs:
#   WebDataset(seed=0):                   1 order of the shards
#   WebDataset(seed=0).shuffle(16):       4 orders of the samples
#   WebDataset().shuffle(16, seed=0):     1 order of the samples
#   detshuffle(16, seed=0):               2 orders of the samples, those of the epochs
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet webdataset==1.0.2
cd "$folder"
for shard in 0 1 2 3; do
  for sample in 0 1 2 3; do echo text > "$shard$sample.txt"; done
  tar cf "$shard.tar" "$shard"?.txt
done
cat > orders.py <<'PYTHON'
import webdataset as wds

urls = [f"{shard}.tar" for shard in range(4)]
pipelines = {
    "shards": wds.WebDataset(urls, shardshuffle=4, seed=0),
    "samples": wds.WebDataset(urls, shardshuffle=4, seed=0).shuffle(16),
    "seeded": wds.WebDataset(urls, shardshuffle=False).shuffle(16, seed=0),
    "detshuffle": wds.WebDataset(urls, shardshuffle=False).compose(wds.detshuffle(16, seed=0)),
}
for name, pipeline in pipelines.items():
    for epoch in range(2):
        print(name, *(sample["__key__"] for sample in pipeline))
PYTHON
for run in 1 2; do venv/bin/python orders.py; done > orders.txt
count() { grep "^$1 " orders.txt | sort -u | wc -l; }
echo "WebDataset(seed=0): $(count shards); .shuffle(16): $(count samples);" \
  ".shuffle(16, seed=0): $(count seeded); detshuffle: $(count detshuffle)"
[ "$(count shards)" = 1 ] && [ "$(count samples)" = 4 ] && [ "$(count seeded)" = 1 ] && [ "$(count detshuffle)" = 2 ]
