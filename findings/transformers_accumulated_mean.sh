#!/usr/bin/env bash
# transformers 5.24.0: `**kwargs` in a model's `forward` multiplies a mean loss by the number of accumulation steps.
#
# `Trainer` takes `**kwargs` in `forward` as the promise that the model divides its loss by `num_items_in_batch`, and then
# leaves out its own division by `gradient_accumulation_steps`. A model that returns a mean and ignores the count, as
# one does for a multi-label loss, gets a logged loss and a gradient that grow by the number of steps. The same model
# without `**kwargs` gets the right ones. Nothing is said in either case. With a `compute_loss_func` the division is left
# out whatever `forward` looks like.
#
# Seen, torch 2.14.1, loss and gradient norm of eight rows in one batch: 18.0 and 9.06. As four batches of two rows:
# 18.0 and 9.06 without `**kwargs`, 72.0 and 36.22 with it or with a `compute_loss_func`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 transformers==5.24.0 accelerate==1.15.0
cat > "$folder/accumulate.py" <<'PYTHON'
import sys

import torch
import transformers
from torch import nn
from transformers import Trainer, TrainingArguments

transformers.logging.set_verbosity_error()
ROWS = [{"x": torch.full((4,), i + 1.0), "labels": torch.zeros(1)} for i in range(8)]


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 1)
        nn.init.ones_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x, labels=None):
        logits = self.fc(x)
        return {"loss": None if labels is None else (logits - labels).abs().mean(), "logits": logits}


class WithKwargs(Plain):
    def forward(self, x, labels=None, **kwargs):
        return super().forward(x, labels)


def mean_loss(outputs, labels, num_items_in_batch=None):
    return (outputs["logits"] - labels).abs().mean()


def first_step(model, rows, steps, loss=None):
    arguments = TrainingArguments(
        sys.argv[1], max_steps=1, per_device_train_batch_size=rows, gradient_accumulation_steps=steps, learning_rate=0.0,
        use_cpu=True, report_to="none", save_strategy="no", logging_steps=1, disable_tqdm=True, label_names=["labels"],
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=ROWS, compute_loss_func=loss)
    trainer.train()
    log = trainer.state.log_history[0]
    return round(log["loss"], 2), round(log["grad_norm"], 2)


whole = first_step(Plain(), 8, 1)
plain, with_kwargs = first_step(Plain(), 2, 4), first_step(WithKwargs(), 2, 4)
with_function = first_step(Plain(), 2, 4, mean_loss)
print("whole", whole, "accumulated: plain", plain, "**kwargs", with_kwargs, "compute_loss_func", with_function)
assert whole == plain == first_step(WithKwargs(), 8, 1) == first_step(Plain(), 8, 1, mean_loss), "changed"
assert with_kwargs == with_function and abs(with_kwargs[0] / whole[0] - 4) < 0.01, "changed"
PYTHON
"$folder/venv/bin/python" "$folder/accumulate.py" "$folder/out"
