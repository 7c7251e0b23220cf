"""The first stage: reads the corpora, builds the vocabulary, resolves the backbone, and finds duplicate images."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emocap.corpora.annotators import vote_shares
from emocap.corpora.duplicates import same_content, shared_content
from emocap.corpora.groups import image_key
from emocap.corpora.image_names import require_existing
from emocap.corpora.pairs import Pairs
from emocap.corpora.read import FORMATS, corpus_files, read_corpus
from emocap.corpora.summary import summary_lines
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import write_json
from emocap.models.backbones import backbone_files
from emocap.ratings import Ratings
from emocap.regions.extractors.registry import AUTO, build_extractor
from emocap.study.artifacts import count_faults, write_pairs
from emocap.study.fitting_settings import require_p
from emocap.study.stages.backbones import resolve_backbone
from emocap.study.stages.joined_corpora import (
    embedded_root,
    join,
    labelled_only,
    labelled_source,
    pair_counts,
    sizes_of,
    vocabulary_values,
)
from emocap.study.targets import require_emotions, targets_of
from emocap.study.unit import Study

if TYPE_CHECKING:
    from emocap.study.config.corpora import CorpusConfig
    from emocap.study.config.study import StudyConfig

logger = logging.getLogger("emocap")


def prepare(study: Study) -> None:
    """Read the corpora, build the vocabulary, resolve the backbone, find duplicate images, and write all of it.

    Raises:
        EmocapError: bad data, or settings that do not fit the data or the backbone.
    """
    config = study.config
    backbone = resolve_backbone(config)  # before the corpora, which take long to read
    _require_extractor(config)
    target = _read(study, config.target)
    asked, path = Ratings.of(config.target.ratings), study.place(config.target.path)
    target, vocabulary, ratings = targets_of(target, asked, path, config.min_count)
    require_emotions(config, vocabulary)
    require_p(config, len(vocabulary))  # before the source, which takes longer to read
    write_json(study.root / "backbone.json", backbone)
    pairs, negatives = _with_negatives(target, vocabulary, config.target.negatives)
    if config.label_aggregation == "votes" and len(vocabulary):
        vote_shares(pairs, vocabulary)  # refuses a corpus that does not keep annotators apart
    same = _same_images(pairs)
    counts = {
        "images": len(pairs.distinct_images()),
        "labelled": len(pairs),
        "without_emotion": negatives,
        "copied_images": len(same),
    }
    data: dict[str, Any] = {"target": pair_counts(target) | counts}
    faults = {"target": count_faults([(row.where, row.reason) for row in target.rejected])}
    shared: dict[str, dict[str, list[str]]] = {}
    embedded = {"target": embedded_root([config.target], [target], target)}
    for domain, corpora in config.corpora.items():
        if domain == "target":
            continue
        several = [_read(study, corpus) for corpus in corpora]
        faults[domain] = count_faults([(row.where, row.reason) for read in several for row in read.rejected])
        if domain == "labelled_source":
            several = [labelled_only(study, *each) for each in zip(corpora, several, strict=True)]
        joined = join(domain, corpora, several)
        shared[domain] = shared_content(joined.pairs, pairs)
        if domain == "labelled_source":
            joined = labelled_source(study, joined, pairs, shared[domain])
        logger.info("%s: %d pairs", domain, len(joined.pairs))
        data |= sizes_of(domain, corpora, joined)
        embedded[domain] = embedded_root(corpora, several, joined.pairs)
        write_pairs(study.root / f"{domain}.parquet", joined.pairs)
    for domain, fault in faults.items():
        if fault["count"]:
            first_fault = fault["examples"][0]
            logger.warning(
                "%s: %d rejected, such as %s: %s",
                domain,
                fault["count"],
                first_fault["where"],
                first_fault["reason"],
            )
    write_pairs(study.root / "target.parquet", pairs)
    write_json(study.root / "vocabulary.json", vocabulary_values(vocabulary))
    write_json(study.root / "ratings.json", {"ratings": ratings.ranges})
    value = {"data": data, "rejected": faults, "same_content": same, "shared_content": shared}
    write_json(study.root / "data.json", value | {"embedded_images": embedded})
    logger.info("target: %d labelled pairs, %d emotions, %d ratings", len(pairs), len(vocabulary), len(ratings))


def _same_images(pairs: Pairs) -> dict[str, str]:
    """The target's images whose bytes another has too, with the first such image; the log says how many."""
    same = same_content(pairs)
    if same:
        copy, first = next(iter(same.items()))
        logger.info(
            "target: %d images are copies of others, such as %s of %s; they share a part", len(same), copy, first
        )
    return same


def _with_negatives(target: Pairs, vocabulary: Vocabulary, negatives: str) -> tuple[Pairs, int]:
    """The target's pairs that a study uses, and how many of all name no emotion of the vocabulary."""
    known = set(vocabulary.labels)
    if not known:
        return target, 0
    named = [row for row, emotions in enumerate(target.emotions) if known & set(emotions or ())]
    n_negatives = len(target) - len(named)
    if not n_negatives:
        return target, 0
    consequence = "are left out" if negatives == "drop" else "are kept as pairs that evoke none of them"
    logger.info(
        "target: %d of %d pairs name none of the %d emotions and %s (target.negatives: %s)",
        n_negatives,
        len(target),
        len(vocabulary),
        consequence,
        negatives,
    )
    return (target.select(named) if negatives == "drop" else target), n_negatives


def _require_extractor(config: "StudyConfig") -> None:
    """Refuse settings that the extractor does not take, or weights that are missing; "auto" takes what is there."""
    needed = any(corpus.images is not None and corpus.store is None for corpus in config.all_corpora)
    if config.features is not None and config.features.extractor != AUTO and needed:
        build_extractor(config.features.extractor, config.features.settings)


def _read(study: Study, corpus: "CorpusConfig") -> Pairs:
    images = study.image_folders(corpus)
    pairs = read_corpus(corpus.format, study.place(corpus.path), images or None, corpus.read_options())
    for line in summary_lines(replace(pairs, notes=())):
        logger.info("%s: %s", corpus.path, line)
    for note in pairs.notes:
        logger.warning("%s: %s", corpus.path, note)
    has_place = pairs.image_root is not None or corpus.store is not None
    if study.config.features is not None and not has_place and (n_images := len(pairs.distinct_images())):
        logger.warning("%s: names %d images, but no folder of them is given: captions alone", corpus.path, n_images)
    if study.config.features is not None and pairs.image_root is not None and corpus.store is None:
        if not pairs.distinct_images():
            raise EmocapError(
                f"{study.place(corpus.path)}: no pair names an image, but {pairs.image_root} is its folder of images; "
                "check the column of images, or leave the folder out for captions alone"
            )
        require_existing(pairs.distinct_images(), pairs.image_root)
    if corpus.limit_images is None and corpus.share is None:
        return pairs
    keys = image_key(pairs)
    names = sorted(set(keys))
    n = corpus.limit_images if corpus.share is None else max(1, round(corpus.share * len(names)))
    drawn = np.random.default_rng(study.config.seed).permutation(len(names))[:n]
    kept = {names[i] for i in drawn}
    rows = [row for row, key in enumerate(keys) if key in kept]
    return replace(pairs, table=pairs.select(rows).table)


def input_files(study: Study) -> list[Path]:
    """What `prepare` reads: the corpora with the files beside them, image folders, and a local backbone.

    Raises:
        EmocapError: a corpus's file or folder is missing.
    """
    config = study.config
    for corpus in config.all_corpora:
        _require_present(study, corpus)
    corpora = [file for corpus in config.all_corpora for file in corpus_files(corpus.format, study.place(corpus.path))]
    images = [folder for corpus in config.all_corpora for folder in study.image_folders(corpus)]
    return [*corpora, *images, *backbone_files(config.model.backbone)]


def _require_present(study: Study, corpus: "CorpusConfig") -> None:
    place, takes_folder = study.place(corpus.path), bool(FORMATS[corpus.format].parts)
    if place.exists() and not place.is_file() and not (place.is_dir() and takes_folder):
        raise EmocapError(f"{place}: not a file; give the corpus's own file")
    for path in (corpus.path, *corpus.image_folders, corpus.store, corpus.oracle):
        if path is not None and not study.place(path).exists():
            raise EmocapError(
                f"{study.place(path)}: no such file or folder; "
                "put it there (docs/DATA.md says where the data come from) or give --set data_root=FOLDER"
            )
