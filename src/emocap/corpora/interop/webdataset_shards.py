"""Pairs from WebDataset shards."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from emocap.corpora.embedded_images import EmbeddedImages
from emocap.corpora.interop.columns import ids_of_parts, named_columns, new_builder, pairs_of_columns, union_of_rows
from emocap.corpora.interop.shards import Sample, read_shard, shard_paths
from emocap.corpora.labels import is_absent
from emocap.corpora.options import ReadOptions, column_of
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.errors import EmocapError


def from_webdataset(
    paths: str | Path | Iterable[str | Path], names: Sequence[str] | None = None, **options: Any
) -> Pairs:
    """One pair per sample of WebDataset shards, in the order of the shards and, within them, of their members.

    A sample has a caption in KEY.txt, an image in KEY.jpg (or .png, and so on), which is copied into a folder once (see
    `EmbeddedImages`), and further columns, such as caption, emotions or pair_id, in KEY.json; those of KEY.json come
    first. KEY.cls is the index of its class. The id is KEY. Members of one key need not follow each other. Other fields
    are counted in the notes; none is unpickled. All text and image fields are also columns of their own name, for
    `columns={"image": "left.jpg", "caption": "en.txt"}`.

    Args:
        paths: one shard or several, a folder of them, or a pattern such as `train-{0000..0015}.tar`.
        names: of the classes of KEY.cls.
        options: those of `ReadOptions`.

    Raises:
        EmocapError: no such file, a damaged or half-written shard, class indices without `names`, or as `read_table`.
    """
    shards = shard_paths([paths] if isinstance(paths, str | Path) else list(paths))
    source = shards[0] if len(shards) == 1 else f"{len(shards)} shards"
    builder, read_options = new_builder(source, None), ReadOptions(**options)
    shard_names = _distinct_names(shards)
    image = read_options.columns.get("image")
    embedded = EmbeddedImages()
    places: list[tuple[str, int]] = []
    parts: list[str] = []
    rows: list[dict[str, Any]] = []
    unread: Counter[str] = Counter()
    for shard, name in zip(shards, shard_names, strict=True):
        for sample in read_shard(shard, embedded, unread):
            where = sample.key if len(shards) == 1 else f"{name}: {sample.key}"
            try:
                row = _row(sample, chooses_image=image is not None)
            except EmocapError as error:
                builder.reject(where, str(error))
                continue
            places.append((where, len(places) + len(builder.rejected) + 1))
            parts.append(name)
            rows.append(row)
            if sample.images:
                builder.image_root = embedded.folder
    if unread:
        builder.notes.append(f"not read: {', '.join(f'.{name} ({n})' for name, n in unread.most_common())}")
    columns = named_columns(builder, union_of_rows(rows).items())
    read_options = _with_classes(builder, columns, names, read_options)
    return pairs_of_columns(builder, ids_of_parts(builder, columns, parts, read_options), read_options, places)


def _row(sample: Sample, *, chooses_image: bool) -> dict[str, Any]:
    """The columns of a sample.

    Raises:
        EmocapError: a damaged or repeated member, or several images of which none is chosen.
    """
    if sample.faults:
        raise EmocapError(sample.faults[0])
    record = sample.fields.get("json", {})
    row = {name: value for name, value in (sample.fields | sample.images).items() if name != "json"} | record
    if is_absent(row.get("caption")):
        texts = [name for name in sample.fields if name.rpartition(".")[2] in ("txt", "text", "caption")]
        best = next((name for name in ("txt", "text") if name in texts), texts[0] if len(texts) == 1 else "")
        row["caption"] = sample.fields.get(best)
    images = [name for name in sample.images if "." not in name] or list(sample.images)
    if len(images) > 1 and not chooses_image:
        raise EmocapError(
            f"key {sample.key!r} has {len(images)} images ({', '.join(images[:5])}), as a key ends at the first dot; "
            f"rename the files, or choose one with columns={{'image': {images[0]!r}}}"
        )
    if len(images) == 1:
        row["image"] = sample.images[images[0]]
    return {"pair_id": sample.key} | {name: value for name, value in row.items() if value is not None}


def _with_classes(
    builder: PairsBuilder, columns: dict[str, Any], names: Sequence[str] | None, options: ReadOptions
) -> ReadOptions:
    """Options that take KEY.cls as the emotions, if no other column is; its indices become names.

    Raises:
        EmocapError: there are no names for them.
    """
    if not options.labels or "cls" not in columns or column_of("emotions", columns, options) not in (None, "cls"):
        return options
    if isinstance(options.columns.get("emotions"), list | tuple):
        return options
    cells = []
    for cell in columns["cls"]:
        if not isinstance(cell, str) or not re.fullmatch(r"[+-]?\d+", cell):
            cells.append(cell)
        elif names is None:
            raise EmocapError(
                f"{builder.source}: .cls contains the index {cell} of a class; give the names of the classes"
            )
        else:
            index = int(cell)
            cells.append(None if index == -1 else names[index] if 0 <= index < len(names) else cell)
    columns["cls"] = cells
    return replace(options, columns={**options.columns, "emotions": "cls"})


def _distinct_names(shards: Sequence[Path]) -> list[str]:
    stems = [shard.name.split(".")[0] for shard in shards]
    return stems if len(set(stems)) == len(stems) else [str(shard) for shard in shards]
