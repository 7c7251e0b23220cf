#!/usr/bin/env bash
# pandas 3.1.1 (pyarrow 26.0.1): `str.get_dummies` makes a label with an empty name if pyarrow is installed.
#
# Where a cell is empty, or ends with the separator, splitting it gives an empty piece. `Series.str.get_dummies` drops it
# for texts that are Python objects, but not for texts that pyarrow stores, which is what pandas 3 does by default if
# pyarrow is installed. So the same script on the same file has one more label, that of all rows without a label, in one
# environment than in another, and `dtype=object` removes it.
#
# Seen, for the cells "joy|awe", "joy|" and "":
#   without pyarrow, str:              ['awe', 'joy']
#   with pyarrow, str:                 ['', 'awe', 'joy'], where '' is 1 for the last two cells
#   with pyarrow, object:              ['awe', 'joy']
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==3.1.1
cat > "$folder/labels.py" <<'PYTHON'
import sys

import pandas as pd

cells = pd.Series(["joy|awe", "joy|", ""], dtype=sys.argv[1])
assert cells.dtype == sys.argv[1]
dummies = cells.str.get_dummies("|")
print(list(dummies.columns), *dummies.get("", []))
PYTHON
labels() { "$folder/venv/bin/python" "$folder/labels.py" "$1"; }
without=$(labels str)
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1
with=$(labels str)
object=$(labels object)
printf 'without pyarrow, str: %s\nwith pyarrow, str: %s\nwith pyarrow, object: %s\n' "$without" "$with" "$object"
[ "$without" = "['awe', 'joy']" ] && [ "$with" = "['', 'awe', 'joy'] 0 1 1" ] && [ "$object" = "['awe', 'joy']" ]
