"""The first stages: corpora read, vocabulary, splits and backbone fixed, region features extracted."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.corpora.read import read_corpus
from emocap.corpora.splits import rows_of, split_by_image
from emocap.emotions import Vocabulary, build_vocabulary
from emocap.errors import EmocapError
from emocap.files import sha256_of, write_json
from emocap.models.backbone import build_config, find_backbone
from emocap.regions.extract import extract, read_report, tell_faults
from emocap.regions.extractor import build_extractor
from emocap.regions.store import kind_of
from emocap.study.config import CorpusConfig, StudyConfig
from emocap.study.stages import Study, count_faults, write_pairs
from emocap.weights import weights_file

logger = logging.getLogger("emocap")
_COCO_ID = re.compile(r"(?<!\d)\d{12}(?!\d)")


def prepare(study: Study) -> None:
    """Read the corpora, fix vocabulary, splits and backbone, and write all of it down.

    Raises:
        EmocapError: bad data, or settings that contradict them or the backbone.
    """
    config = study.config
    target = _read(study, config.target)
    if not target.is_labelled:
        raise EmocapError(f"{study.place(config.target.path)}: has no emotions; the target must be labelled")
    vocabulary = build_vocabulary(target.emotions, config.min_count)
    if config.source is not None and config.pseudo_labels.p > len(vocabulary):
        raise EmocapError(
            f"pseudo_labels.p is {config.pseudo_labels.p}, expected 1 to {len(vocabulary)}, the emotions there are"
        )
    write_json(study.run / "backbone.json", fix_backbone(config, vocabulary))
    known = set(vocabulary.labels)
    usable = [row for row, named in enumerate(target.emotions) if known & set(named or ())]
    pairs = target.select(usable)
    parts = split_by_image(pairs, vocabulary, config.splits.model_dump(), config.seed)
    data: dict[str, Any] = {"target": _sizes(target) | {"labelled": len(usable)}, "source": None}
    faults = {"target": count_faults([(q.where, q.reason) for q in target.quarantined])}
    if config.source is not None:
        source = _read(study, config.source)
        rows = rows_of(pairs, parts)
        clean = without_held_out(source, pairs.select(np.concatenate([rows["validation"], rows["test"]])))
        data["source"] = _sizes(clean) | {"held_out_pairs_removed": len(source) - len(clean)}
        faults["source"] = count_faults([(q.where, q.reason) for q in source.quarantined])
        if len(clean) < len(source):
            logger.info(
                "source: %d pairs show a held-out picture or caption and are left out", len(source) - len(clean)
            )
        write_pairs(study.run / "source.parquet", clean)
    for domain, fault in faults.items():
        if fault["count"]:
            first = fault["examples"][0]
            logger.warning("%s: %d set aside, such as %s: %s", domain, fault["count"], first["where"], first["reason"])
    write_pairs(study.run / "target.parquet", pairs)
    write_json(study.run / "vocabulary.json", {"labels": list(vocabulary.labels), "hash": vocabulary.hash})
    write_json(study.run / "splits.json", {"seed": config.seed, "vocabulary": vocabulary.hash, "parts": parts})
    write_json(study.run / "data.json", {"data": data, "quarantined": faults})
    logger.info("target: %d labelled pairs, %d emotions", len(pairs), len(vocabulary))


def fix_backbone(config: StudyConfig, vocabulary: Vocabulary) -> dict[str, str]:
    """Resolve the backbone once for all stages, and refuse settings that do not fit it.

    Returns:
        Its resolved name and its weights' SHA-256.

    Raises:
        EmocapError: no such backbone, or `max_length`, `visual_token_type` or `n_transferred` beyond it.
    """
    settings = config.model
    backbone = find_backbone(settings.backbone)
    built = build_config(
        backbone.folder,
        vocabulary,
        pooling=settings.pooling,
        visual_token_type=settings.visual_token_type,
        visual_dim=1,
        dropout=settings.dropout,
    )
    if settings.max_length > built.max_position_embeddings:
        raise EmocapError(
            f"model.max_length is {settings.max_length}, but {backbone.name} takes at most "
            f"{built.max_position_embeddings} tokens"
        )
    n = config.transfer.n_transferred
    if n is not None and n > built.num_hidden_layers:
        raise EmocapError(f"transfer.n_transferred is {n}, but {backbone.name} has {built.num_hidden_layers} layers")
    return {"name": backbone.name, "sha256": sha256_of(weights_file(backbone.folder))}


def without_held_out(source: Pairs, held_out: Pairs) -> Pairs:
    """The source's pairs that share neither picture nor caption with held-out pairs of the target.

    Pictures are the same where their file names are, or the twelve-digit COCO number in them; captions where they
    differ in case and spaces only.
    """
    pictures = {key for image in held_out.images if image for key in _picture_keys(image)}
    captions = {_plain(caption) for caption in held_out.captions}
    rows = [
        row
        for row, (image, caption) in enumerate(zip(source.images, source.captions, strict=True))
        if _plain(caption) not in captions and not pictures.intersection(_picture_keys(image))
    ]
    if not rows:
        raise EmocapError("source: every pair shows a held-out picture or caption of the target; use another source")
    return Pairs(source.select(rows).table, source.image_root, source.quarantined, source.open_vocabulary)


def _picture_keys(image: str) -> set[str]:
    name = Path(image).name.lower()
    return {name, *_COCO_ID.findall(name)} if name else set()


def _plain(caption: str) -> str:
    return " ".join(caption.lower().split())


def _read(study: Study, corpus: CorpusConfig) -> Pairs:
    images = study.place(corpus.images) if corpus.images is not None else None
    pairs = read_corpus(corpus.format, study.place(corpus.path), images)
    if corpus.limit_images is None:
        return pairs
    names = sorted(pairs.distinct_images())
    drawn = np.random.default_rng(study.config.seed).permutation(len(names))[: corpus.limit_images]
    kept = {names[i] for i in drawn}
    rows = [row for row, image in enumerate(pairs.images) if image in kept]
    return Pairs(pairs.select(rows).table, pairs.image_root, pairs.quarantined, pairs.open_vocabulary)


def _sizes(pairs: Pairs) -> dict[str, int]:
    return {"pairs": len(pairs), "images": len(pairs.distinct_images())}


def features(study: Study) -> None:
    """Extract the region features of every image that the corpora name, where no store is given.

    Raises:
        EmocapError: a store that cannot be read or has changed, or the corpora's features are of two kinds.
    """
    settings = study.config.features
    folder = study.run / "features"
    folder.mkdir(parents=True, exist_ok=True)
    if settings is None:
        return
    domains = ("target", "source") if study.config.source is not None else ("target",)
    for domain in domains:
        if _is_stored(study, domain):
            _check_store(study, domain)
    for domain in domains:
        pairs = study.pairs(domain)
        if pairs.image_root is not None and not _is_stored(study, domain) and not (folder / domain).is_dir():
            extractor = build_extractor(settings.extractor, settings.settings)
            kind = kind_of(extractor.name, extractor.settings, extractor.weights_hash, extractor.dim)
            _require_one_kind(study, domains, {domain: f"{extractor.name} {extractor.settings}"}, {kind})
            report = extract(pairs.distinct_images(), pairs.image_root, extractor, folder / domain)
            tell_faults(report, f"{domain}: ", ": captions alone there")
    _require_one_kind(study, domains, {}, set())


def _check_store(study: Study, domain: str) -> None:
    """Refuse a store that has changed or holds nothing of a domain, and tell what it lacks."""
    store = study.store(domain)
    assert store is not None, "a store is there, or the study had been refused"
    store.verify()
    images = study.pairs(domain).distinct_images()
    absent = [image for image in images if image not in store]
    if images and len(absent) == len(images):
        held = f", but such as {store.images[0]}" if len(store) else ""
        raise EmocapError(
            f"{store.path}: holds none of the {domain}'s {len(images)} images, such as {images[0]}{held}; "
            "import or extract under the names that the corpus has"
        )
    if absent:
        logger.warning(
            "%s: %s holds no features of %d images, such as %s: captions alone there",
            *(domain, store.path, len(absent), absent[0]),
        )


def _require_one_kind(study: Study, domains: Sequence[str], told: dict[str, str], kinds: set[str]) -> None:
    """Refuse features of two kinds; `told` and `kinds` are of features that are not there yet."""
    for domain in domains:
        if (store := study.store(domain)) is not None:
            told[domain] = f"{store.header.extractor} {store.header.settings}"
            kinds.add(store.kind)
    if len(kinds) > 1:
        both = " and the ".join(f"{domain}'s are {made}" for domain, made in told.items())
        raise EmocapError(f"features: the {both}; a model can use one kind, so make both with the same settings")


def image_faults(study: Study, domain: str) -> tuple[int, list[tuple[str, str]]]:
    """How many images of a domain have no features for want of a file, and which are set aside with their reasons."""
    store = study.store(domain)
    if store is None:
        return 0, []
    if _is_stored(study, domain):
        return sum(image not in store for image in study.pairs(domain).distinct_images()), []
    found = read_report(store.path)
    return len(found.missing), [(fault.where, fault.reason) for fault in found.quarantined]


def _is_stored(study: Study, domain: str) -> bool:
    corpus: CorpusConfig | None = getattr(study.config, domain)
    return corpus is not None and corpus.store is not None
