"""The first stage: reads the corpora, builds the vocabulary, resolves the backbone, and finds duplicate images."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emocap.corpora.annotators import vote_shares
from emocap.corpora.duplicates import same_content, shared_content
from emocap.corpora.groups import image_key
from emocap.corpora.image_names import require_existing
from emocap.corpora.overlap import without_held_out
from emocap.corpora.pairs import Pairs
from emocap.corpora.read import FORMATS, corpus_files, read_corpus
from emocap.corpora.summary import summary_lines
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import write_json
from emocap.models.backbones import backbone_files, find_backbone
from emocap.models.initialisation import build_config, load_backbone
from emocap.models.tokenizer import require_fitting_tokenizer
from emocap.ratings import Ratings
from emocap.regions.extractors.registry import AUTO, build_extractor
from emocap.study.artifacts import count_faults, write_pairs
from emocap.study.fitting_settings import require_layers, require_p
from emocap.study.targets import require_emotions, targets_of
from emocap.study.unit import Study
from emocap.training.checkpoint import load_tokenizer
from emocap.weights import weights_digest

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
    target, vocabulary, ratings = targets_of(target, config.target, study.place(config.target.path), config.min_count)
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
    data: dict[str, Any] = {"target": _sizes(target) | counts}
    faults = {"target": count_faults([(row.where, row.reason) for row in target.rejected])}
    shared: dict[str, dict[str, list[str]]] = {}
    embedded = {"target": _embedded_root(config.target, target)}
    for domain, corpus in config.corpora.items():
        if domain == "target":
            continue
        read = _read(study, corpus)
        faults[domain] = count_faults([(row.where, row.reason) for row in read.rejected])
        shared[domain] = shared_content(read, pairs)
        if domain == "labelled_source":
            read = _labelled_source(study, read, pairs, shared[domain])
        logger.info("%s: %d pairs", domain, len(read))
        data[domain] = _sizes(read)
        embedded[domain] = _embedded_root(corpus, read)
        write_pairs(study.root / f"{domain}.parquet", read)
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
    write_vocabulary(study, "vocabulary.json", vocabulary)
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


def _embedded_root(corpus: "CorpusConfig", pairs: Pairs) -> str | None:
    """The folder of images that were in the corpus's own file, None where there are none."""
    return str(pairs.image_root) if corpus.images is None and pairs.image_root is not None else None


def _labelled_source(study: Study, pairs: Pairs, target: Pairs, shared: Mapping[str, Sequence[str]]) -> Pairs:
    """The labelled pairs that share no image or caption with the target; their vocabulary and ratings are written."""
    corpus = study.config.labelled_source
    assert corpus is not None
    ratings = Ratings.of(corpus.ratings)
    if not any(pairs.emotions) and not ratings:
        raise EmocapError(f"{study.place(corpus.path)}: has no labels; use it as `source` or give another")
    keeps, has_emotions = corpus.negatives == "keep", any(pairs.emotions)
    labelled = pairs.select(
        [row for row, named in enumerate(pairs.emotions) if named or not has_emotions or (keeps and named is not None)]
    )
    clean = labelled.select(without_held_out(labelled, target, "labelled_source", shared))
    clean, vocabulary, ratings = targets_of(clean, corpus, study.place(corpus.path), 1)
    write_vocabulary(study, "labelled_vocabulary.json", vocabulary)
    write_json(study.root / "labelled_ratings.json", {"ratings": ratings.ranges})
    return clean


def write_vocabulary(study: Study, name: str, vocabulary: Vocabulary) -> None:
    """Write a vocabulary with its hash into the run directory."""
    write_json(study.root / name, {"labels": list(vocabulary.labels), "hash": vocabulary.hash})


def _require_extractor(config: "StudyConfig") -> None:
    """Refuse settings that the extractor does not take, or weights that are missing; "auto" takes what is there."""
    needed = any(corpus.images is not None and corpus.store is None for corpus in config.corpora.values())
    if config.features is not None and config.features.extractor != AUTO and needed:
        build_extractor(config.features.extractor, config.features.settings)


def resolve_backbone(config: "StudyConfig") -> dict[str, Any]:
    """Resolve the backbone once for all stages, and check that the settings fit it.

    Returns:
        Its resolved name, its weights' SHA-256, and its number of layers.

    Raises:
        EmocapError: no such backbone, one whose tokenizer or weights do not fit it, or `max_length`,
            `visual_token_type` or `n_transferred` beyond it.
    """
    settings = config.model
    backbone = find_backbone(settings.backbone)
    built = build_config(
        backbone.folder,
        Vocabulary(("any",)),
        pooling=settings.pooling,
        visual_token_type=settings.visual_token_type,
        dropout=settings.dropout,
    )
    if settings.max_length > built.max_position_embeddings:
        raise EmocapError(
            f"model.max_length is {settings.max_length}, but {backbone.name} takes at most "
            f"{built.max_position_embeddings} tokens"
        )
    require_layers(config, backbone.name, built.num_hidden_layers)
    tokenizer_folder = backbone.tokenizer_folder
    require_fitting_tokenizer(load_tokenizer(tokenizer_folder), tokenizer_folder, built.vocab_size)
    load_backbone(built, backbone.folder)  # whose errors must come before hours of feature extraction and training
    digest = weights_digest(backbone.folder)
    return {"name": backbone.name, "sha256": digest, "n_layers": built.num_hidden_layers}


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
    if corpus.limit_images is None:
        return pairs
    keys = image_key(pairs)
    names = sorted(set(keys))
    drawn = np.random.default_rng(study.config.seed).permutation(len(names))[: corpus.limit_images]
    kept = {names[i] for i in drawn}
    rows = [row for row, key in enumerate(keys) if key in kept]
    return replace(pairs, table=pairs.select(rows).table)


def _sizes(pairs: Pairs) -> dict[str, int]:
    return {"pairs": len(pairs), "images": len(pairs.distinct_images())}


def input_files(study: Study) -> list[Path]:
    """What `prepare` reads: the corpora with the files beside them, image folders, and a local backbone.

    Raises:
        EmocapError: a corpus's file or folder is missing.
    """
    config = study.config
    for corpus in config.corpora.values():
        _require_present(study, corpus)
    corpora = [
        file for corpus in config.corpora.values() for file in corpus_files(corpus.format, study.place(corpus.path))
    ]
    images = [folder for corpus in config.corpora.values() for folder in study.image_folders(corpus)]
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
