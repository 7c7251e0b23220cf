#!/usr/bin/env bash
# h5py 3.16.0: `read_direct`, which avoids an allocation, is slower than indexing for rows of region features.
#
# Indexing with an integer takes a compiled path; `read_direct` builds two selections in Python at every call. The
# difference is constant, so it matters for one image's features (36 x 2,048 in float16) and not for large reads.
#
# Seen in four runs, rows at random from the page cache: index and copy 30 to 54 us, `read_direct` 61 to 182 us.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet h5py==3.16.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/features.h5" <<'PYTHON'
import sys
import timeit

import h5py
import numpy as np

features = np.random.default_rng(0).standard_normal((500, 36, 2048)).astype(np.float16)
with h5py.File(sys.argv[1], "w") as file:
    file["features"] = features
rows, buffer = np.random.default_rng(1).permutation(len(features)), np.empty((1, 36, 2048), np.float16)


def index() -> None:
    for row in rows:
        buffer[0] = dataset[row]


def read_direct() -> None:
    for row in rows:
        dataset.read_direct(buffer, np.s_[row : row + 1], np.s_[0:1])


with h5py.File(sys.argv[1]) as file:
    dataset, seconds = file["features"], {}
    for function in (index, read_direct):
        seconds[function] = min(timeit.repeat(function, number=1, repeat=7))
        assert np.array_equal(buffer[0], features[rows[-1]])
        print(f"{function.__name__}: {1e6 * seconds[function] / len(rows):.0f} us")
assert seconds[read_direct] > 1.3 * seconds[index], "changed: read_direct is no longer slower"
PYTHON
