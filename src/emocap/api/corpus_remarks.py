"""The remarks on the captions and images of a corpus, counted: one line for each kind."""

import copy
from collections.abc import Sequence
from functools import cache

from emocap.api.remarks import remarks_on_caption, remarks_on_image
from emocap.classifiers.base import Classifier
from emocap.classifiers.familiarity import read_familiarity
from emocap.corpora.languages import LANGUAGE_NAMES
from emocap.corpora.pairs import Pairs
from emocap.regions.store.reader import FeatureStore

TEXTS = {
    "control_characters": "captions contain control characters",
    "no_words": "captions contain no words",
    "no_caption": "pairs have no caption, unlike the training data; their images are scored alone",
    "images_alone": "captions do not inform the predictions, since the model learned from images alone",
    "truncated": "captions are truncated: only their beginning is scored",
    "unknown_words": "captions consist mostly of words that the model does not know",
    "language": "captions are not in {language}, the language of the training captions",
    "unlike_caption": "captions are unlike those of the training data, so that their predictions are uncertain",
    "captions_alone": "images count with an uncertain effect, since the model learned from captions with few or none",
    "unlike_image": "images are unlike those of the training data, so that their effect is uncertain",
}


def corpus_remarks(model: Classifier, pairs: Pairs, store: FeatureStore | None) -> list[str]:
    """How many captions and distinct images of a corpus have each remark, and the first of them.

    Args:
        store: region features of the images; None if the model uses none.
    """
    familiarity, language = read_familiarity(model.folder), model.card.language
    readers = copy.deepcopy(model.readers)  # the model's own truncate

    @cache
    def of_caption(caption: str) -> list[str]:
        reads = {"uses_images": model.uses_images, "uses_captions": model.uses_captions}
        remarks = remarks_on_caption(caption, readers, language, familiarity, **reads)
        return [remark.code for remark in remarks]

    captions = [of_caption(caption) for caption in pairs.captions]
    lines = _counted(captions, [_place(pairs, row) for row in range(len(pairs))], language)
    if store is None:
        return lines
    known = [image for image in pairs.distinct_images() if image in store]
    images = [[remark.code for remark in remarks_on_image(familiarity, store[image][0])] for image in known]
    return lines + _counted(images, known, language)


def _counted(codes: Sequence[Sequence[str]], places: Sequence[str], language: str | None) -> list[str]:
    """A line for each code: how many have it, and the place of the first."""
    found: dict[str, list[str]] = {}
    for several, place in zip(codes, places, strict=True):
        for code in several:
            found.setdefault(code, []).append(place)
    name = LANGUAGE_NAMES.get(language or "", language)
    return [
        f"{len(where)} of {len(codes)} {TEXTS[code].format(language=name)}, such as {where[0]}"
        for code, where in found.items()
    ]


def _place(pairs: Pairs, row: int) -> str:
    """Where a pair is: its place in the table that was read, or its id."""
    source = pairs.source
    return f"pair {pairs.pair_ids[row]}" if source is None else source.places[int(source.rows[row])].as_py()
