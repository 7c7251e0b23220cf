"""Class indices of Hugging Face `datasets`, which keep the names of the classes in the features of a table."""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

METADATA_KEY = b"huggingface"
NO_CLASS = -1


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
    """A row whose class indices are replaced by names.

    The index -1 is no class, as `datasets` uses it. Any other index without a name stays as it is, so that the reader
    of labels rejects it.
    """
    for column, classes in names.items():
        value = row.get(column)
        if isinstance(value, list):
            row[column] = [_name(i, classes) for i in value if i is not None and i != NO_CLASS]
        elif value is not None:
            row[column] = _name(value, classes)
    return row


def _name(index: Any, classes: list[str]) -> Any:
    if index == NO_CLASS:
        return None
    return classes[index] if isinstance(index, int) and 0 <= index < len(classes) else index
