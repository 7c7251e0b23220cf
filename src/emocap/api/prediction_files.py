"""Predictions for a corpus, written whole or not at all in the format that the name's extension gives."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.evaluation.scored_predictions import ranking
from emocap.files import atomic_file
from emocap.training.checkpoint import SavedModel

EXTENSIONS = (".parquet", ".csv", ".jsonl")


def require_prediction_format(out: Path) -> None:
    """Check that a name has the extension of a format, before anything is computed.

    Raises:
        EmocapError: it has not.
    """
    if out.suffix not in EXTENSIONS:
        raise EmocapError(f"{out}: ending is {out.suffix!r}, expected one of {', '.join(EXTENSIONS)}")


def require_column_names(out: Path, vocabulary: Vocabulary) -> None:
    """Check that no emotion has the name of another column, in formats with a column for each emotion.

    Raises:
        EmocapError: one has.
    """
    clash = set(vocabulary.labels) & {"pair_id", "image", "caption", "emotions"}
    if clash and out.suffix in (".csv", ".jsonl"):
        raise EmocapError(f"{out}: an emotion has the name of the column {min(clash)!r}; write .parquet")


def write_predictions(out: Path, saved: SavedModel, pairs: Pairs, probabilities: np.ndarray, p: int) -> None:
    """Write each pair's top-p emotions and all probabilities, in the order of the pairs.

    Args:
        probabilities: (N, E) float.

    Raises:
        EmocapError: it cannot be written.
    """
    labels = saved.vocabulary.labels
    top = [[labels[i] for i in row] for row in ranking(probabilities)[:, :p]]
    columns: dict[str, Any] = {"pair_id": pairs.pair_ids, "image": pairs.images, "caption": pairs.captions}
    with atomic_file(out) as temporary:
        if out.suffix == ".parquet":
            table = pa.table(columns | {"emotions": top, "probabilities": list(probabilities)})
            meta = {"labels": json.dumps(labels), "vocabulary": saved.vocabulary.hash, "model": str(saved.folder)}
            pq.write_table(table.replace_schema_metadata(meta), temporary)
            return
        wide = columns | {"emotions": [json.dumps(row) for row in top] if out.suffix == ".csv" else top}
        wide |= {label: np.round(probabilities[:, i].astype(float), 6) for i, label in enumerate(labels)}
        table = pa.table(wide)
        if out.suffix == ".csv":
            pyarrow.csv.write_csv(table, temporary)
        else:
            lines = (json.dumps(row, ensure_ascii=False) for row in table.to_pylist())
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
