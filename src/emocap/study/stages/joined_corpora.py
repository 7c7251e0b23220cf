"""The source and the labelled source: one corpus, or several that are read as one, with what `prepare` records."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from emocap.corpora.joined import Joined, corpus_names, join_corpora
from emocap.corpora.overlap import without_held_out
from emocap.corpora.pairs import SCHEMA, Pairs
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import write_json
from emocap.ratings import Ratings
from emocap.study.config.corpora import joint_ratings
from emocap.study.targets import targets_of
from emocap.study.unit import Study

if TYPE_CHECKING:
    from emocap.study.config.corpora import CorpusConfig

logger = logging.getLogger("emocap")


def join(domain: str, corpora: "Sequence[CorpusConfig]", read: Sequence[Pairs]) -> Joined:
    """The corpora of a domain as one; of several, the log says how many captions were there before.

    Args:
        domain: "source" or "labelled_source".
        corpora: one or more.
        read: the pairs of each.
    """
    if len(corpora) == 1:
        return Joined(read[0], np.zeros(len(read[0]), dtype=np.int64), [0])
    names = corpus_names([corpus.path for corpus in corpora])
    joined = join_corpora(read, names)
    kept = Counter(joined.corpus_of.tolist())
    logger.info(
        "%s: %d corpora are read as one: %s",
        domain,
        len(corpora),
        ", ".join(f"{name} {kept[number]:,}" for number, name in enumerate(names)),
    )
    if any(joined.repeated):
        each = ", ".join(f"{name} {count:,}" for name, count in zip(names, joined.repeated, strict=True) if count)
        logger.info("%s: pairs left out, since an earlier pair has their caption: %s", domain, each)
    return joined


def labelled_only(study: Study, corpus: "CorpusConfig", pairs: Pairs) -> Pairs:
    """The pairs of one corpus of the labelled source that have something to learn.

    Raises:
        EmocapError: it has neither emotions nor ratings, or lacks a rating that is asked for.
    """
    path, ratings = study.place(corpus.path), Ratings.of(corpus.ratings)
    if not any(pairs.emotions):
        if not ratings:
            raise EmocapError(f"{path}: has no labels; use it as `source` or give another")
        return targets_of(pairs, ratings, path, 1)[0]
    keeps = corpus.negatives == "keep"
    return pairs.select([row for row, named in enumerate(pairs.emotions) if named or (keeps and named is not None)])


def labelled_source(study: Study, joined: Joined, target: Pairs, shared: Mapping[str, Sequence[str]]) -> Joined:
    """The labelled pairs that share no image or caption with the target; their vocabulary and ratings are written.

    The vocabulary has the emotions of all corpora. Beside it is written which of them each of several corpora has.

    Args:
        joined: N pairs of the labelled source.
        target: all pairs of the target.
        shared: images of the source to those of the target with the same bytes.
    """
    corpora, pairs = study.config.corpora["labelled_source"], joined.pairs
    rows = without_held_out(pairs, target, "labelled_source", shared)
    clean, corpus_of = pairs.select(rows), joined.corpus_of[rows]
    if any(clean.emotions):
        clean = _with_emotions(clean)  # those of a corpus of ratings alone are unknown, as is recorded below
    path = study.place(corpora[0].path) if len(corpora) == 1 else "labelled_source"
    clean, vocabulary, ratings = targets_of(clean, joint_ratings(corpora), path, 1)
    known = [{"pairs": int((corpus_of == n).sum()), "labels": _labels(joined, n)} for n in range(len(corpora))]
    values = vocabulary_values(vocabulary) | {"corpora": known if len(corpora) > 1 and len(vocabulary) else []}
    write_json(study.root / "labelled_vocabulary.json", values)
    write_json(study.root / "labelled_ratings.json", {"ratings": ratings.ranges})
    return replace(joined, pairs=clean, corpus_of=corpus_of)


def _with_emotions(pairs: Pairs) -> Pairs:
    """The same pairs, in which those without labels name no emotion."""
    place = SCHEMA.get_field_index("emotions")
    emotions = pa.array([named or [] for named in pairs.emotions], SCHEMA.field("emotions").type)
    return replace(pairs, table=pairs.table.set_column(place, SCHEMA.field("emotions"), emotions))


def _labels(joined: Joined, corpus: int) -> list[str]:
    """The emotions that any pair of a corpus names."""
    emotions = joined.pairs.emotions
    return sorted({label for row in np.flatnonzero(joined.corpus_of == corpus) for label in emotions[row] or ()})


def vocabulary_values(vocabulary: Vocabulary) -> dict[str, Any]:
    """What is written of a vocabulary: its labels and their hash."""
    return {"labels": list(vocabulary.labels), "hash": vocabulary.hash}


def pair_counts(pairs: Pairs) -> dict[str, int]:
    """The sizes of a corpus that the report shows."""
    return {"pairs": len(pairs), "images": len(pairs.distinct_images())}


def sizes_of(domain: str, corpora: "Sequence[CorpusConfig]", joined: Joined) -> dict[str, dict[str, int]]:
    """The sizes of a domain, and, if it has several corpora, of each as DOMAIN/NAME."""
    if len(corpora) == 1:
        return {domain: pair_counts(joined.pairs)}
    sizes = {domain: pair_counts(joined.pairs) | {"repeated_captions_left_out": sum(joined.repeated)}}
    for number, name in enumerate(corpus_names([corpus.path for corpus in corpora])):
        own = joined.pairs.select(np.flatnonzero(joined.corpus_of == number))
        sizes[f"{domain}/{name}"] = pair_counts(own) | {"repeated_captions_left_out": joined.repeated[number]}
    return sizes


def embedded_root(corpora: "Sequence[CorpusConfig]", read: Sequence[Pairs], pairs: Pairs) -> str | None:
    """The folder of a domain's images where some were in a corpus's own file, None where none were.

    Args:
        corpora: of the domain.
        read: the pairs of each.
        pairs: of all.
    """
    own = zip(corpora, read, strict=True)
    is_embedded = any(corpus.images is None and one.image_root is not None for corpus, one in own)
    return str(pairs.image_root) if is_embedded else None
