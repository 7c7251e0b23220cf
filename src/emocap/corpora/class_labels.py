"""Class indices of Hugging Face `datasets`, which keep the names of the classes in the features of a table."""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

METADATA_KEY = b"huggingface"


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Column to the names of its classes, of columns that are a `ClassLabel` or a list of them.

    Source: the features that `datasets` writes as JSON into the metadata of Arrow and Parquet schemas.
    """
    try:
        features = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    found = {column: _names(feature) for column, feature in features.items()} if isinstance(features, dict) else {}
    return {column: names for column, names in found.items() if names}


def _names(feature: Any) -> list[str] | None:
    if isinstance(feature, list) and len(feature) == 1:
        return _names(feature[0])
    if not isinstance(feature, Mapping):
        return None
    if feature.get("_type") == "ClassLabel":
        return feature.get("names")
    return _names(feature.get("feature"))


def with_class_names(row: dict[str, Any], names: Mapping[str, list[str]]) -> dict[str, Any]:
    """A row whose class indices are replaced by names; an index without a name, such as -1, is no class."""
    for column, classes in names.items():
        value = row.get(column)
        if isinstance(value, int):
            row[column] = classes[value] if 0 <= value < len(classes) else None
        elif isinstance(value, list):
            row[column] = [classes[i] for i in value if isinstance(i, int) and 0 <= i < len(classes)]
    return row
