"""The first stages: corpora read, vocabulary and backbone fixed, region features extracted, splits drawn."""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emocap.corpora.annotators import vote_shares
from emocap.corpora.duplicates import repeated_captions, same_content, shared_content
from emocap.corpora.pairs import Pairs
from emocap.corpora.read import read_corpus
from emocap.corpora.splits import fold_by_image, rows_of, split_by_image
from emocap.emotions import Vocabulary, build_vocabulary
from emocap.errors import EmocapError
from emocap.files import sha256_of, write_array, write_json
from emocap.models.backbone import build_config, find_backbone
from emocap.regions.extract import extract, read_report, tell_faults
from emocap.regions.extractor import build_extractor
from emocap.regions.store import kind_of
from emocap.study.config import CorpusConfig, StudyConfig
from emocap.study.study import Study, read_value, write_pairs
from emocap.weights import weights_file

logger = logging.getLogger("emocap")
_COCO_ID = re.compile(r"(?<!\d)\d{12}(?!\d)")


def prepare(study: Study) -> None:
    """Read the corpora, fix vocabulary and backbone, find twins among the images, and write all of it down.

    Raises:
        EmocapError: bad data, or settings that contradict them or the backbone.
    """
    config = study.config
    target = _read(study, config.target)
    if not target.is_labelled:
        raise EmocapError(f"{study.place(config.target.path)}: has no emotions; the target must be labelled")
    vocabulary = build_vocabulary(target.emotions, config.min_count)
    study_of_p = config.pseudo_labels.study.p if config.pseudo_labels.study is not None else []
    if config.source is not None and (most := max([config.pseudo_labels.p, *study_of_p])) > len(vocabulary):
        raise EmocapError(f"pseudo_labels.p is {most}, expected 1 to {len(vocabulary)}, the emotions there are")
    write_json(study.root / "backbone.json", fix_backbone(config, vocabulary))
    known = set(vocabulary.labels)
    pairs = target.select([row for row, named in enumerate(target.emotions) if known & set(named or ())])
    if config.targets == "votes":
        vote_shares(pairs, vocabulary)  # refuses a corpus that does not keep annotators apart
    same = same_content(pairs)
    if same:
        twin, first = next(iter(same.items()))
        logger.info(
            "target: %d images are copies of others, such as %s of %s; they share a part", len(same), twin, first
        )
    data: dict[str, Any] = {"target": _sizes(target) | {"labelled": len(pairs), "copied_images": len(same)}}
    faults = {"target": count_faults([(q.where, q.reason) for q in target.quarantined])}
    shared: dict[str, dict[str, list[str]]] = {}
    for domain, corpus in config.corpora.items():
        if domain == "target":
            continue
        found = _read(study, corpus)
        faults[domain] = count_faults([(q.where, q.reason) for q in found.quarantined])
        shared[domain] = shared_content(found, pairs)
        if domain == "labelled_source":
            found = _labelled_source(study, found, pairs, shared[domain])
        logger.info("%s: %d pairs", domain, len(found))
        data[domain] = _sizes(found)
        write_pairs(study.root / f"{domain}.parquet", found)
    for domain, fault in faults.items():
        if fault["count"]:
            first_fault = fault["examples"][0]
            logger.warning(
                *("%s: %d set aside, such as %s: %s", domain, fault["count"]),
                *(first_fault["where"], first_fault["reason"]),
            )
    write_pairs(study.root / "target.parquet", pairs)
    write_json(study.root / "vocabulary.json", {"labels": list(vocabulary.labels), "hash": vocabulary.hash})
    write_json(
        study.root / "data.json", {"data": data, "quarantined": faults, "same_content": same, "shared_content": shared}
    )
    logger.info("target: %d labelled pairs, %d emotions", len(pairs), len(vocabulary))


def _labelled_source(study: Study, found: Pairs, target: Pairs, shared: Mapping[str, Sequence[str]]) -> Pairs:
    """The labelled pairs that show no picture or caption of the target; their vocabulary is written down."""
    assert study.config.labelled_source is not None
    if not any(found.emotions):
        raise EmocapError(
            f"{study.place(study.config.labelled_source.path)}: has no labels; name it as source, or use one that has"
        )
    labelled = found.select([row for row, named in enumerate(found.emotions) if named])
    clean = labelled.select(without_held_out(labelled, target, "labelled_source", shared))
    vocabulary = build_vocabulary(clean.emotions, 1)
    write_json(study.root / "labelled_vocabulary.json", {"labels": list(vocabulary.labels), "hash": vocabulary.hash})
    return clean


def splits(study: Study) -> None:
    """Draw a unit's parts of the target by image, and keep what they hold out from the source.

    Raises:
        EmocapError: too few images for the parts.
    """
    config, pairs, vocabulary = study.config, study.pairs("target"), study.vocabulary
    if study.fold is None:
        parts = split_by_image(pairs, vocabulary, config.splits.model_dump(), config.seed, study.same_content)
    else:
        parts = fold_by_image(
            *(pairs, vocabulary),
            n_folds=config.folds or 0,
            fold=study.fold,
            validation=config.splits.validation,
            seed=config.seed,
            same=study.same_content,
        )
    rows = rows_of(pairs, parts, study.same_content)
    repeated = repeated_captions(pairs, rows)
    if repeated["count"]:
        logger.info(
            "splits: %d captions occur in more than one part, such as %s", repeated["count"], repeated["examples"]
        )
    held_out_removed = None
    if config.source is not None:
        source = study.whole("source")
        held_out = pairs.select(np.concatenate([rows["validation"], rows["test"]]))
        shared = read_value(study.root / "data.json", "shared_content").get("source")
        kept = without_held_out(source, held_out, "source", shared)
        held_out_removed = len(source) - len(kept)
        if held_out_removed:
            logger.info("source: %d pairs show a held-out picture or caption and are left out", held_out_removed)
        if config.captioner is not None:
            unknown = without_held_out(source, pairs, "source", shared)
            kept = _hold_out(study, source, kept, np.intersect1d(kept, unknown))
        write_array(study.run / "source_rows.npy", kept)
    value = {"seed": config.seed, "fold": study.fold, "vocabulary": vocabulary.hash, "parts": parts}
    value |= {"repeated_captions": repeated, "held_out_pairs_removed": held_out_removed}
    write_json(study.run / "splits.json", value)


def _hold_out(study: Study, source: Pairs, rows: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Draw the images that the captioner is chosen and judged on, write them down, and give the rows that are left.

    Left out with them are pairs with a copy of their pictures or with one of their captions.

    Args:
        rows: numbers of the source's pairs that may be used.
        unknown: those of them that show nothing of the target, its training part included; images are drawn of these.

    Raises:
        EmocapError: too few images with two captions or more.
    """
    settings = study.config.captioner
    assert settings is not None, "the study has a captioner"
    captions = Counter(source.images[row] for row in unknown)
    images = sorted(image for image, count in captions.items() if image and count > 1)
    if len(images) < 2 * settings.held_out_images:
        raise EmocapError(
            f"captioner.held_out_images is {settings.held_out_images}, but the source has {len(images)} images with "
            "two captions or more that the target has not; hold out less than half"
        )
    drawn = np.random.default_rng([study.seed, 5]).permutation(len(images))[: settings.held_out_images]
    half = len(drawn) // 2
    parts = {"choose": sorted(images[i] for i in drawn[:half]), "judge": sorted(images[i] for i in drawn[half:])}
    write_json(study.run / "caption_images.json", parts)
    gone = {*parts["choose"], *parts["judge"]}
    held_out = source.select([row for row in rows if source.images[row] in gone])
    first = same_content(source)
    copies = {image: [other for other in gone if first.get(other, other) == first.get(image, image)] for image in first}
    left = source.select(rows)
    return rows[without_held_out(left, held_out, "source", copies)]


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
    for key, numbers in (
        ("transfer.n_transferred", [config.transfer.n_transferred or 0]),
        ("transfer.layers", config.transfer.layers or []),
        ("captioner.decoder_layers", [(config.captioner and config.captioner.decoder_layers) or 0]),
    ):
        if max(numbers, default=0) > built.num_hidden_layers:
            raise EmocapError(f"{key} is {max(numbers)}, but {backbone.name} has {built.num_hidden_layers} layers")
    return {"name": backbone.name, "sha256": sha256_of(weights_file(backbone.folder))}


def without_held_out(
    source: Pairs, held_out: Pairs, domain: str, shared: Mapping[str, Sequence[str]] | None = None
) -> np.ndarray:
    """Row numbers of the source's pairs that share neither picture nor caption with held-out pairs of the target.

    Pictures are the same where their file names are, or the twelve-digit COCO number in them, or their bytes; captions
    where they differ in case and spaces only.

    Args:
        shared: images of the source to those of the target with the same bytes.
    """
    images = {image for image in held_out.images if image}
    pictures = {key for image in images for key in _picture_keys(image)}
    copies = {image for image, same in (shared or {}).items() if images.intersection(same)}
    captions = {_plain(caption) for caption in held_out.captions}
    rows = [
        row
        for row, (image, caption) in enumerate(zip(source.images, source.captions, strict=True))
        if _plain(caption) not in captions and image not in copies and not pictures.intersection(_picture_keys(image))
    ]
    if not rows:
        raise EmocapError(f"{domain}: every pair shows a held-out picture or caption of the target; use another source")
    return np.array(rows, dtype=np.int64)


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
    folder = study.root / "features"
    folder.mkdir(parents=True, exist_ok=True)
    if settings is None:
        return
    domains = tuple(study.config.corpora)
    for domain in domains:
        if _is_stored(study, domain):
            _check_store(study, domain)
    for domain in domains:
        pairs = study.whole(domain)
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
    images = study.whole(domain).distinct_images()
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
        return sum(image not in store for image in study.whole(domain).distinct_images()), []
    found = read_report(store.path)
    return len(found.missing), [(fault.where, fault.reason) for fault in found.quarantined]


def _is_stored(study: Study, domain: str) -> bool:
    corpus = study.config.corpora.get(domain)
    return corpus is not None and corpus.store is not None


def count_faults(faults: list[tuple[str, str]]) -> dict[str, Any]:
    """Count, reasons and the first ten examples of quarantined rows, for the manifest."""
    reasons = Counter(reason for _, reason in faults)
    examples = [{"where": where, "reason": reason} for where, reason in faults[:10]]
    return {"count": len(faults), "reasons": dict(reasons.most_common(20)), "examples": examples}
