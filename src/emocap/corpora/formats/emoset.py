"""EmoSet (Yang et al. 2023, arXiv 2307.07961): images with one of eight emotions that they evoke.

`train.json`, `val.json` and `test.json` are lists of `[emotion, image path, annotation path]`; the release's README
shows an image id behind the emotion too. The captions are in a table of their own (see `captions_beside`), since EmoSet
has none. Left out: the annotations' brightness, colourfulness, scene, objects, faces and actions.
"""

import re
from pathlib import Path
from typing import Any

from emocap.corpora.formats.captions_beside import captions_beside, captions_of
from emocap.corpora.formats.parts import part_files, part_of
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.errors import EmocapError
from emocap.files import read_json

FILES = ("train.json", "val.json", "test.json")
IMAGE = re.compile(r".+\.(jpe?g|png|webp|gif|bmp)$", re.IGNORECASE)
_LIST = re.compile(rb'\[\s*\[\s*"[^"]+"\s*,\s*"[^"]+"\s*,\s*"[^"]+"')
_ANNOTATION = re.compile(rb'\{\s*"image_id"\s*:\s*"[^"]*"\s*,\s*"emotion"\s*:')


def is_emoset(start: bytes) -> bool:
    """Whether a file's first bytes indicate a list of EmoSet's images, or the annotation of one image."""
    return bool(_ANNOTATION.match(start)) or bool(_LIST.match(start) and b"image/" in start)


def read_emoset(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per caption of an image, with its emotion as the only label.

    Args:
        path: one of the three lists, or their folder: the corpus with its own split.
        images: the folder that contains `image/`, to which the lists refer.

    Raises:
        EmocapError: the annotation of one image, another layout, no table of captions, or no usable image.
    """
    labelled = options is None or options.labels
    builder = PairsBuilder(path, images)
    captions = None
    for file in part_files(path, FILES):
        entries = read_json(file)
        if not isinstance(entries, list):
            raise EmocapError(f"{file}: is not a list of images; give train.json, or the folder that contains it")
        captions = captions_beside(path, "EmoSet") if captions is None else captions
        for number, entry in enumerate(entries):
            where = f"[{number}]" if file == path else f"{file.name}: [{number}]"
            image = _image(entry)
            if image is None:
                builder.reject(where, "is not a list of an emotion, an image path and an annotation path")
                continue
            own = captions_of(image, captions)
            if not own:
                builder.reject(where, f"image {image!r} has no caption in captions.csv")
            for place, caption in enumerate(own):
                emotions = [entry[0].strip()] if labelled else None
                builder.add(where, f"{image}#{place}", image, caption, emotions, split=part_of(file, path))
    return builder.build()


def _image(entry: Any) -> str | None:
    if not isinstance(entry, list) or not entry or not all(isinstance(value, str) for value in entry):
        return None
    return next((value for value in entry[1:] if IMAGE.match(value)), None)
