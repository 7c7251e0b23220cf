#!/usr/bin/env bash
# datasets 5.2.0 (pyarrow 26.0.1): floats are changed, and small ones become 0, if objects of a column differ in a key.
#
# A column of objects whose keys are the same in all records has a type for each key. If one record has another key, the
# column gets the feature `Json` without a word: its objects are stored as JSON text with 10 decimals and are read back
# with an error in the last digits. So probabilities below 5e-11 are 0, and 0.3 is not 0.3, in records that did not change.
# This holds for `Dataset.from_json` and `load_dataset("json")`, also with streaming, and for `from_generator`.
# `Dataset.from_list` instead fills the missing keys with None and keeps the floats.
#
# Seen, for the first of two records, {"joy": 0.1234567890123456, "awe": 1e-12}:
#   the other has the keys joy, awe: {'joy': 0.1234567890123456, 'awe': 1e-12}
#   the other has the keys joy, sad: {'joy': 0.12345678900000001, 'awe': 0.0}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0 pyarrow==26.0.1
cd "$folder"
HF_HUB_OFFLINE=1 HF_HOME="$folder/home" HF_DATASETS_DISABLE_PROGRESS_BARS=1 "$folder/venv/bin/python" - <<'PYTHON'
import json
from pathlib import Path

from datasets import Dataset, load_dataset

FIRST = {"joy": 0.1234567890123456, "awe": 1e-12}


def first_read(other, name):
    records = [{"scores": FIRST}, {"scores": other}]
    Path(name).write_text("".join(json.dumps(record) + "\n" for record in records))
    stream = load_dataset("json", data_files=name, split="train", streaming=True)
    read = [Dataset.from_json(name)[0]["scores"], next(iter(stream))["scores"]]
    read.append(Dataset.from_generator(lambda: iter(records), fingerprint=name.split(".")[0])[0]["scores"])
    assert read[0] == read[1] == read[2], read
    listed = {key: value for key, value in Dataset.from_list(records)[0]["scores"].items() if value is not None}
    assert listed == FIRST, listed
    print(f"the other has the keys {', '.join(other)}: {read[0]}")
    return read[0]


assert first_read({"joy": 0.5, "awe": 0.3}, "same.jsonl") == FIRST
changed = first_read({"joy": 0.5, "sad": 0.3}, "other.jsonl")
assert changed["awe"] == 0 and changed["joy"] != FIRST["joy"], "changed: floats stay as they are"
PYTHON
