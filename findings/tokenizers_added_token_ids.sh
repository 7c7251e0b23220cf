#!/usr/bin/env bash
# tokenizers 0.23.3 (transformers 5.24.0): an added token gets the next free id, not the one that its file states.
#
# Where a model's embeddings were padded before a token was added, the token's id is that of a row behind the padding.
# `tokenizer.json` and `added_tokens.json` state it, but if the ids leave a gap, `Tokenizer.from_file` and
# `AutoTokenizer` number added tokens from the vocabulary's end on, without a warning. The token is then embedded by a
# row of the padding, which was never trained.
#
# Seen for a vocabulary of 7 words and an added token whose id is 8 in the file: where it stands, and its id once loaded.
#   tokenizer.json, Tokenizer.from_file       7
#   tokenizer.json, AutoTokenizer             7
#   added_tokens.json, AutoTokenizer          7
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3 transformers==5.24.0

cat > "$folder/check.py" <<'PYTHON'
import json
import sys
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog"]
STATED, FREE = 8, 7
root = Path(sys.argv[1])

fast = root / "fast"
fast.mkdir()
tokenizer = Tokenizer(models.WordPiece({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
tokenizer.add_special_tokens(["[new]"])
values = json.loads(tokenizer.to_str())
(token,) = values["added_tokens"]
assert token["id"] == FREE
token["id"] = STATED
(fast / "tokenizer.json").write_text(json.dumps(values))

old = root / "old"
old.mkdir()
(old / "vocab.txt").write_text("\n".join(WORDS) + "\n")
(old / "added_tokens.json").write_text(json.dumps({"[new]": STATED}))

for folder in (fast, old):
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
loaded = {
    "tokenizer.json, Tokenizer.from_file": Tokenizer.from_file(str(fast / "tokenizer.json")).token_to_id("[new]"),
    "tokenizer.json, AutoTokenizer": AutoTokenizer.from_pretrained(fast).convert_tokens_to_ids("[new]"),
    "added_tokens.json, AutoTokenizer": AutoTokenizer.from_pretrained(old).convert_tokens_to_ids("[new]"),
}
for where, number in loaded.items():
    print(f"{where:40}  {number}")
    assert number == FREE, "changed: the id of the added token"
PYTHON
"$folder/venv/bin/python" "$folder/check.py" "$folder"
