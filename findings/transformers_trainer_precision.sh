#!/usr/bin/env bash
# transformers 5.24.0: a model trained in bfloat16 by `Trainer` stays in bfloat16 for the next `Trainer`, whatever that asks.
#
# accelerate replaces the model's `forward` by one that runs under autocast, and the wrapped method stays in the object
# after training. `copy.deepcopy` copies it. A second Trainer with `bf16=False` on the same model, or on a deep copy, therefore
# runs its layers in bfloat16 without a message; the weights' dtype is float32 all the while. A new object that the
# weights are loaded into runs in float32. So two stages in one process, and the same two stages with a restart
# between them, give different numbers.
#
# Seen, torch 2.14.1 on a CPU: bfloat16 for the trained model, its copy and the model itself; float32 for a new object.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 transformers==5.24.0 accelerate==1.15.0
cat > "$folder/precision.py" <<'PYTHON'
import copy
import sys

import torch
import transformers
from torch import nn
from transformers import Trainer, TrainingArguments

transformers.logging.set_verbosity_error()
ROWS = [{"x": torch.ones(4), "labels": torch.zeros(2)} for _ in range(4)]


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
        self.seen = None

    def forward(self, x, labels=None):
        logits = self.fc(x)
        self.seen = logits.dtype
        return {"loss": logits.float().pow(2).mean(), "logits": logits}


def dtype_in_training(model, bf16):
    settings = {"max_steps": 1, "use_cpu": True, "report_to": "none", "save_strategy": "no", "disable_tqdm": True}
    arguments = TrainingArguments(sys.argv[1], bf16=bf16, logging_strategy="no", **settings)
    Trainer(model=model, args=arguments, train_dataset=ROWS).train()
    return model.seen


trained = Model()
fresh = Model()
seen = {"bf16": dtype_in_training(trained, True), "copy, float32": dtype_in_training(copy.deepcopy(trained), False)}
seen["same, float32"] = dtype_in_training(trained, False)
fresh.load_state_dict(trained.state_dict())
seen["new object, float32"] = dtype_in_training(fresh, False)
print(seen)
assert trained.fc.weight.dtype == torch.float32
assert list(seen.values()) == [torch.bfloat16] * 3 + [torch.float32], "changed"
PYTHON
"$folder/venv/bin/python" "$folder/precision.py" "$folder/out"
