"""The stage that extracts region features, or checks the stores that are given."""

import logging
from collections.abc import Sequence

from emocap.errors import EmocapError
from emocap.regions.extract import extract, read_report, log_rejected
from emocap.regions.extractors.registry import build_extractor
from emocap.regions.store.format import feature_fingerprint
from emocap.study.unit import Study

logger = logging.getLogger("emocap")


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
            kind = feature_fingerprint(extractor.name, extractor.settings, extractor.weights_hash, extractor.dim)
            _require_one_kind(study, domains, {domain: f"{extractor.name} {extractor.settings}"}, {kind})
            report = extract(pairs.distinct_images(), pairs.image_root, extractor, folder / domain)
            log_rejected(report, f"{domain}: ", ": captions alone there")
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
            domain,
            store.path,
            len(absent),
            absent[0],
        )


def _require_one_kind(study: Study, domains: Sequence[str], told: dict[str, str], kinds: set[str]) -> None:
    """Refuse features of two kinds; `told` and `kinds` are of features that are not there yet."""
    for domain in domains:
        if (store := study.store(domain)) is not None:
            told[domain] = f"{store.header.extractor} {store.header.settings}"
            kinds.add(store.fingerprint)
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
    return len(found.missing), [(fault.where, fault.reason) for fault in found.rejected]


def _is_stored(study: Study, domain: str) -> bool:
    corpus = study.config.corpora.get(domain)
    return corpus is not None and corpus.store is not None
