#!/usr/bin/env bash
# transformers 5.24.0: `generate` passes cached keys as `cache`; a model that reads `past_key_values` writes other tokens.
#
# 5.24 renamed the argument `past_key_values` to `cache`. Its own layers still accept the old name with a warning, but
# `generate` passes the new name only. A subclass whose `forward` has `past_key_values` and `**kwargs`, the usual form
# until then, receives no cache although `generate` feeds it the last token alone: no error, no warning, other output.
# With `use_cache=False` the output is right. Under 5.23.0 both agree.
#
# Seen, torch 2.13.0: 5.23.0 gives the same tokens with and without a cache; 5.24.0 gives other tokens with a cache.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0
cat > "$folder/generate.py" <<'PYTHON'
import sys

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel


class Wrapped(GPT2LMHeadModel):
    def forward(self, input_ids=None, attention_mask=None, past_key_values=None, use_cache=None, **kwargs):
        return super().forward(
            input_ids=input_ids, attention_mask=attention_mask, past_key_values=past_key_values, use_cache=use_cache
        )


torch.manual_seed(0)
sizes = {"vocab_size": 50, "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.5}
model = Wrapped(GPT2Config(**sizes, bos_token_id=0, eos_token_id=49)).eval()
prompt = torch.tensor([[3, 14, 15, 9, 2]])
settings = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 49, "attention_mask": torch.ones_like(prompt)}
cached, plain = (model.generate(prompt, use_cache=use, **settings)[0].tolist() for use in (True, False))
print(transformers.__version__, "with cache", cached, "without", plain)
assert (cached == plain) == (sys.argv[1] == "same"), "changed"
PYTHON
export TRANSFORMERS_VERBOSITY=error
"$folder/venv/bin/python" "$folder/generate.py" same
"$folder/venv/bin/pip" install --quiet transformers==5.24.0
"$folder/venv/bin/python" "$folder/generate.py" different
