"""The stage that extracts region features, or checks the stores that are given."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emocap.corpora.image_folders import common_folder
from emocap.errors import EmocapError
from emocap.files import read_json, write_json
from emocap.regions.changes import changed_images
from emocap.regions.extract import extract
from emocap.regions.extraction_report import log_rejected, read_report, require_described
from emocap.regions.extractors.automatic import resolve_extractor
from emocap.regions.extractors.base import Extractor
from emocap.regions.extractors.registry import AUTO, build_extractor, extractor_and_settings
from emocap.regions.store.format import feature_fingerprint, is_complete, read_header
from emocap.study.unit import Study

if TYPE_CHECKING:
    from emocap.study.config.study import StudyConfig

logger = logging.getLogger("emocap")
EXTRACTOR = "extractor.json"


def features(study: Study) -> None:
    """Extract the region features of every image that the corpora name, where no store is given.

    Raises:
        EmocapError: a store that cannot be read or has changed, or the corpora's features differ in their fingerprint.
    """
    folder = study.root / "features"
    folder.mkdir(parents=True, exist_ok=True)
    if study.config.features is None:
        return
    domains = tuple(study.config.corpora)
    for domain in domains:
        if study.given_store(domain) is not None:
            _check_store(study, domain)
    extractor = _recorded_extractor(study) if extracts(study.config) else None
    for domain in domains:
        pairs = study.whole(domain)
        if pairs.image_root is not None and study.given_store(domain) is None and not is_complete(folder / domain):
            assert extractor is not None, "some features are extracted"
            fingerprint = feature_fingerprint(extractor.name, extractor.settings, extractor.weights_hash, extractor.dim)
            _require_one_fingerprint(study, domains, {domain: f"{extractor.name} {extractor.settings}"}, {fingerprint})
            report = extract(pairs.distinct_images(), pairs.image_root, extractor, folder / domain)
            log_rejected(report, f"{domain}: ", ": captions alone for those")
            require_described(report)
    _require_one_fingerprint(study, domains, {}, set())


def extracts(config: "StudyConfig") -> bool:
    """Whether features are extracted: some corpus has images, and no store of features."""
    return config.features is not None and any(
        corpus.store is None and corpus.has_images(config.data_root) for corpus in config.all_corpora
    )


def _recorded_extractor(study: Study) -> Extractor:
    """The extractor, which is resolved once: a run that resumes builds what was recorded.

    Raises:
        EmocapError: it cannot be built, such as where it was recorded on a machine that has other weights.
    """
    chosen, where = study.config.features, study.root / EXTRACTOR
    assert chosen is not None, "the study has features"
    is_recorded = where.is_file()
    if is_recorded:
        recorded = read_json(where)
    else:
        name, settings, reason = resolve_extractor(chosen.extractor, chosen.settings)
        recorded = {"name": name, "settings": settings, "reason": reason}
    if not isinstance(recorded, dict) or not {"name", "settings"} <= recorded.keys():
        raise EmocapError(f"{where}: names no extractor and settings; delete it and run again")
    try:
        extractor = build_extractor(recorded["name"], recorded["settings"])
    except EmocapError as error:
        if chosen.extractor != AUTO:
            raise
        source = f"as {where} records" if is_recorded else "here"
        raise EmocapError(
            f"{error}; or name another in features.extractor, since auto is {recorded['name']} {source}"
        ) from error
    if not is_recorded:
        write_json(where, recorded)  # once it could be built, so that a failed download decides nothing
    return extractor


def _check_store(study: Study, domain: str) -> None:
    """Refuse a store that has changed or holds none of a corpus's images, and log what is missing."""
    store = study.store(domain)
    assert store is not None, "the study was refused where a store is missing"
    store.verify()
    images = study.whole(domain).distinct_images()
    missing = [image for image in images if image not in store]
    if images and len(missing) == len(images):
        held = f", but such as {store.images[0]}" if len(store) else ""
        raise EmocapError(
            f"{store.path}: holds none of the {domain}'s {len(images)} images, such as {images[0]}{held}; "
            "import or extract under the names that the corpus has"
        )
    folders = study.folders_of(domain)
    if folders and (changed := changed_images(store, common_folder(folders))):
        raise EmocapError(
            f"{store.path}: {len(changed)} images of the {domain}, such as {changed[0]}, have changed since their "
            "features were extracted; extract them again into another store"
        )
    if missing:
        logger.warning(
            "%s: %s holds no features of %d images, such as %s: captions alone for those",
            domain,
            store.path,
            len(missing),
            missing[0],
        )


def _require_one_fingerprint(
    study: Study, domains: Sequence[str], described: dict[str, str], fingerprints: set[str]
) -> None:
    """Refuse features with different fingerprints; the arguments are of features that are not extracted yet."""
    for domain in domains:
        path = study.store_path(domain)
        if path is not None and (is_complete(path) or study.given_store(domain) is not None):
            store = study.store(domain)
            assert store is not None, "it has a path"
            described[domain] = f"{store.header.extractor} {store.header.settings}"
            fingerprints.add(store.fingerprint)
    if len(fingerprints) > 1:
        both = " and the ".join(f"{domain}'s are {made}" for domain, made in described.items())
        raise EmocapError(
            f"features: the {both}; a model needs one kind of features, so extract both with the same settings"
        )


def image_faults(study: Study, domain: str) -> tuple[int, list[tuple[str, str]]]:
    """How many images of a corpus have no features because the file is missing, and which were rejected and why."""
    store = study.store(domain)
    if store is None:
        return 0, []
    if study.given_store(domain) is not None:
        return sum(image not in store for image in study.whole(domain).distinct_images()), []
    report = read_report(store.path)
    return len(report.missing), [(row.where, row.reason) for row in report.rejected]


def input_files(study: Study) -> list[Path]:
    """What the features depend on: folders of images, files of stores, and an extractor's local weights.

    Raises:
        EmocapError: a store's header is missing or damaged.
    """
    if study.config.features is None:
        return []
    corpora = study.config.all_corpora
    stores = [study.place(corpus.store) for corpus in corpora if corpus.store]
    stored = [store / name for store in stores for name in ("header.json", *read_header(store).sha256)]
    folders = [folder for corpus in corpora if not corpus.store for folder in study.image_folders(corpus)]
    _, settings = extractor_and_settings(study.config.features.extractor, study.config.features.settings)
    weights = Path(str(settings.get("weights", "")))
    return [*stored, *folders, *([weights] if str(weights) != "." and weights.exists() else [])]
