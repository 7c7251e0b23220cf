"""Conversion between the keys of a store and the image ids of other file formats."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from string import Formatter

from emocap.errors import EmocapError


def key_template(template: str) -> Callable[[str], str]:
    """A function that makes the key of an image from its id by a template.

    `{stem}` in it is the id without folders.

    Raises:
        EmocapError: the template has neither {id} nor {stem}, or has another field.

    >>> key_template("COCO_val2014_{id:012d}.jpg")("42")
    'COCO_val2014_000000000042.jpg'
    >>> key_template("{id}.jpg")("train/a"), key_template("{stem}.jpg")("train/a")
    ('train/a.jpg', 'a.jpg')
    """
    expected = 'expected text with {id}, {stem} or {id:012d} in it, such as "{id:012d}.jpg"'
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise EmocapError(f"key is {template!r} ({error}), {expected}") from None
    fields = [(field, spec, conversion) for _, field, spec, conversion in parts if field is not None]
    # Everything else that `str.format` supports, such as attributes, is refused.
    is_valid = all(
        field in ("id", "stem") and not conversion and re.fullmatch(r"(0?[0-9]{0,2}d)?", spec or "")
        for field, spec, conversion in fields
    )
    if not fields or not is_valid or "\0" in template:
        raise EmocapError(f"key is {template!r}, {expected}")

    def key_of(id_: str) -> str:
        text = []
        for literal, field, spec, _ in parts:
            value = id_.rpartition("/")[2] if field == "stem" else id_
            if spec and not (value.isascii() and value.isdigit() and len(value) <= 30):
                raise EmocapError(f"id {value!r:.80} is not a number, which the key {template!r} needs")
            text.append(literal + ("" if field is None else format(int(value), spec) if spec else value))
        return "".join(text)

    return key_of


def image_ids(store: Path, keys: Sequence[str], id_of: str, *, numeric: bool) -> list[tuple[str, str]]:
    """Each key of a store with its id.

    Args:
        store: folder of the store, for messages.
        id_of: "key" for the key itself, "stem" for its file name without suffix.
        numeric: whether stems become the numbers that they end in, if all have one and all differ.

    Raises:
        EmocapError: two images have the same id.
    """
    ids = list(keys) if id_of == "key" else [PurePosixPath(key).stem for key in keys]
    if id_of == "stem" and numeric:
        # All or none, so that one template restores the keys.
        matches = [re.fullmatch(r"(?:.*_)?([0-9]{1,18})", stem) for stem in ids]
        numbers = [str(int(match[1])) for match in matches if match]
        if len(set(numbers)) == len(ids):
            ids = numbers
    (most_common, count), *_ = Counter(ids).most_common(1)
    if count > 1:
        same = [key for key, id_ in zip(keys, ids, strict=True) if id_ == most_common]
        raise EmocapError(
            f"{store}: images {same[0]!r} and {same[1]!r} would both have the id {most_common!r}; "
            "use the complete keys (--id-of key)"
        )
    return list(zip(keys, ids, strict=True))
