#!/usr/bin/env bash
# accelerate 1.15.0 (torch 2.14.1): without a GPU, `PartialState()` ignores the other processes of torchrun.
#
# Each process counts one process and considers itself the main one, so `wait_for_everyone` returns at once and files
# that only the main process should write are written by all. `PartialState(cpu=True)` sees the others and waits. Three
# calls that look sufficient are not:
#   - a gloo process group that exists already is ignored;
#   - `backend="gloo"` makes `num_processes` 2, but `wait_for_everyone` still returns at once;
#   - ACCELERATE_USE_CPU=true is read by `Accelerator()` but not by `PartialState()`.
#
# Seen with two processes, the first one 3 s late: the call, `num_processes`, processes with `is_main_process`, seconds
# for which the second one waited.
#   PartialState()                                1  2  0.0
#   PartialState() after init_process_group       1  2  0.0
#   PartialState(backend="gloo")                  2  1  0.0
#   PartialState() with ACCELERATE_USE_CPU=true   1  2  0.0
#   Accelerator() with ACCELERATE_USE_CPU=true    2  1  3.0
#   PartialState(cpu=True)                        2  1  3.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet accelerate==1.15.0 torch==2.14.1

cat > "$folder/worker.py" <<'PYTHON'
import json
import os
import sys
import time
from pathlib import Path

import torch
from accelerate import Accelerator, PartialState

call, folder, rank = sys.argv[1], Path(sys.argv[2]), os.environ["RANK"]
if "after init_process_group" in call:
    torch.distributed.init_process_group("gloo")
if call.startswith("Accelerator"):
    state = Accelerator()
elif "backend" in call:
    state = PartialState(backend="gloo")
else:
    state = PartialState(cpu="cpu=True" in call)
start = time.perf_counter()
if rank == "0":
    time.sleep(3)
state.wait_for_everyone()
result = {"processes": state.num_processes, "main": state.is_main_process, "seconds": time.perf_counter() - start}
(folder / f"{rank}.json").write_text(json.dumps(result))
PYTHON

cat > "$folder/check.py" <<'PYTHON'
import json
import os
import subprocess
import sys
from pathlib import Path

folder = Path(sys.argv[1])
expected = {  # processes that each one counts, processes that are the main one, whether the second waits for the first
    "PartialState()": (1, 2, False),
    "PartialState() after init_process_group": (1, 2, False),
    'PartialState(backend="gloo")': (2, 1, False),
    "PartialState() with ACCELERATE_USE_CPU=true": (1, 2, False),
    "Accelerator() with ACCELERATE_USE_CPU=true": (2, 1, True),
    "PartialState(cpu=True)": (2, 1, True),
}
for call, (processes, mains, waits) in expected.items():
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    environment["ACCELERATE_USE_CPU"] = str("ACCELERATE_USE_CPU" in call).lower()
    torchrun = [folder / "venv/bin/torchrun", "--nproc-per-node", "2", folder / "worker.py", call, folder]
    subprocess.run(torchrun, env=environment, check=True, stderr=subprocess.DEVNULL, timeout=300)
    first, second = (json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1))
    print(f"{call:45} {second['processes']}  {first['main'] + second['main']}  {second['seconds']:.1f}", flush=True)
    assert first["processes"] == second["processes"] == processes, "changed: the number of processes"
    assert first["main"] + second["main"] == mains, "changed: how many processes are the main one"
    assert (second["seconds"] > 1.5) == waits, "changed: whether the second process waits for the first"
PYTHON
"$folder/venv/bin/python" "$folder/check.py" "$folder"
