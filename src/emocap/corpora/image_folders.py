"""Images of one corpus in several folders: each name is found in the folder that has it."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from emocap.corpora.image_names import resolve_image_names
from emocap.corpora.pairs import SCHEMA, Pairs


def common_folder(folders: Sequence[Path]) -> Path:
    """The folder itself of one, else the deepest folder that contains all.

    >>> common_folder([Path("/data/a/images"), Path("/data/b/images")]).as_posix()
    '/data'
    """
    return folders[0] if len(folders) == 1 else Path(os.path.commonpath([folder.absolute() for folder in folders]))


def found_in_folders(pairs: Pairs, folders: Sequence[Path]) -> Pairs:
    """The pairs with images relative to the folders' common folder; a name in several folders means the first.

    Args:
        pairs: read with the first folder as that of the images; a name that no folder has stays there, and is missing.
        folders: two or more.
    """
    root = common_folder(folders)
    prefixes = [folder.absolute().relative_to(root).as_posix() for folder in folders]
    names = [name for name in dict.fromkeys(pairs.images) if name]
    found: dict[str, str] = {}
    for folder, prefix in zip(folders, prefixes, strict=True):
        missing = [name for name in names if name not in found]
        other_names = resolve_image_names(missing, folder)
        for name in missing:
            real = other_names.get(name, name)
            if (folder / real).is_file():
                found[name] = f"{prefix}/{real}" if prefix != "." else real
    first = prefixes[0]
    images = [found.get(name, f"{first}/{name}" if first != "." else name) if name else "" for name in pairs.images]
    column = SCHEMA.get_field_index("image")
    table = pairs.table.set_column(column, SCHEMA.field("image"), pa.array(images, pa.string()))
    return replace(pairs, table=table, image_root=root)
