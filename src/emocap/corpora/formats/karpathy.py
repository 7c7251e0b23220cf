"""Karpathy's `dataset_{coco,flickr8k,flickr30k}.json` (Karpathy and Fei-Fei 2015, arXiv 1412.2306) and SentiCap.

SentiCap (Mathews, Xie and He 2016, arXiv 1510.01431) has the same layout, and a sentiment for each sentence. Left out:
tokens, and SentiCap's marks of the words that carry the sentiment.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emocap.corpora.labels import is_absent
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder, plain_id
from emocap.errors import EmocapError
from emocap.files import read_json

SENTIMENTS = {"1": "positive", "0": "negative", "positive": "positive", "negative": "negative"}


def is_karpathy(start: bytes) -> bool:
    """Whether a file's first bytes indicate images with sentences."""
    return start.startswith(b"{") and b'"images"' in start and b'"sentences"' in start


def is_senticap(start: bytes) -> bool:
    """Whether a file's first bytes indicate images with sentences that have a sentiment."""
    return is_karpathy(start) and (b'"sentiment"' in start or b'"word_sentiment"' in start)


def read_karpathy(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per sentence, unlabelled, with its `sentid` as pair id and the image's own `split` (`restval` trains).

    Sentences that share a `sentid` have the numbers of their image and their place added to it.

    Args:
        path: the JSON: `images` with `filename`, `split`, `sentences` of `raw` and, for COCO, `filepath`.
        images: folder of the images; a `filepath` such as `val2014` counts if the folder has it.

    Raises:
        EmocapError: not JSON, not of this layout, or no usable pair.
    """
    return _read(path, images, lambda sentence: None)


def read_senticap(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per sentence of `senticap_dataset.json`; its only label is `positive` or `negative`.

    The images are those of COCO val2014.

    Raises:
        EmocapError: not JSON, not of this layout, or no usable pair.
    """
    if options is not None and not options.labels:
        return _read(path, images, lambda sentence: None)
    return _read(path, images, _sentiment)


def _read(path: Path, images: Path | None, emotions_of: Callable[[dict[str, Any]], list[str] | None]) -> Pairs:
    values = read_json(path)
    listed = values.get("images") if isinstance(values, dict) else None
    if not isinstance(listed, list):
        raise EmocapError(f"{path}: expected an object with the list 'images', each with its 'sentences'")
    builder = PairsBuilder(path, images)
    stem = path.name.split(".")[0]
    repeated = _repeated_ids(listed)
    if repeated:
        count = sum(repeated.values())
        builder.notes.append(
            f"{count} sentences share their sentid with another; their place in the file is added to it"
        )
    for number, image in enumerate(listed):
        where = f"images[{number}]"
        sentences = image.get("sentences") if isinstance(image, dict) else None
        if not isinstance(sentences, list) or not isinstance(image.get("filename"), str):
            builder.reject(where, "has no filename and list of sentences")
            continue
        name = _file_name(image, images)
        for place, sentence in enumerate(sentences):
            here = f"{where}.sentences[{place}]"
            if not isinstance(sentence, dict):
                builder.reject(here, f"is {type(sentence).__name__}, expected an object")
                continue
            try:
                emotions = emotions_of(sentence)
            except ValueError as error:
                builder.reject(here, str(error))
                continue
            own_id = _id(sentence)
            pair_id = own_id if own_id and own_id not in repeated else f"{own_id or stem}:{number}:{place}"
            builder.add(here, pair_id, name, _text(sentence), emotions, split=image.get("split"))
    return builder.build()


def _id(sentence: dict[str, Any]) -> str:
    own_id = sentence.get("sentid")
    return "" if is_absent(own_id) else plain_id(own_id)


def _repeated_ids(listed: list[Any]) -> dict[str, int]:
    """Every id of several sentences, and how many they are."""
    of_images = (image.get("sentences") for image in listed if isinstance(image, dict))
    sentences = (one for several in of_images if isinstance(several, list) for one in several if isinstance(one, dict))
    return {own_id: count for own_id, count in Counter(map(_id, sentences)).items() if own_id and count > 1}


def _file_name(image: dict[str, Any], images: Path | None) -> str:
    folder, name = image.get("filepath"), image["filename"]
    if images is not None and isinstance(folder, str) and folder and (images / folder).is_dir():
        return f"{folder}/{name}"
    return str(name)


def _text(sentence: dict[str, Any]) -> Any:
    tokens = sentence.get("tokens")
    if sentence.get("raw") is None and isinstance(tokens, list):
        return " ".join(map(str, tokens))
    return sentence.get("raw")


def _sentiment(sentence: dict[str, Any]) -> list[str]:
    value = sentence.get("sentiment")
    label = SENTIMENTS.get("" if value is None else plain_id(value).lower())
    if label is None:
        raise ValueError(f"sentiment is {value!r}, expected 1 (positive) or 0 (negative)")
    return [label]
