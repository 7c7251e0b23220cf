"""The stage that composes what the student sees of photographs, where the teacher reads captions alone.

The targets of photographs come from `emocap.pseudo_labels.photographs`; here are the teacher, the classifier and files.
"""

import logging
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emocap.corpora.pairs import SCHEMA, Pairs
from emocap.errors import EmocapError
from emocap.files import atomic_file, write_json
from emocap.pseudo_labels.lift import LiftScale
from emocap.pseudo_labels.photographs import (
    KINDS,
    Composition,
    caption_means,
    class_prior,
    compose,
    lifts_within,
    photograph_targets,
)
from emocap.regions.extractors.registry import build_extractor
from emocap.regions.store.reader import FeatureStore
from emocap.study.artifacts import read_parquet, read_value
from emocap.study.stages.selection import selected
from emocap.study.training_unit import TrainingUnit
from emocap.training.predict import predict_captions

logger = logging.getLogger("emocap")
SAMPLE = "photographs.parquet"
COUNTS = "photographs.json"


def photographs(study: TrainingUnit) -> None:
    """Write the composed sample with its targets, and how many pairs of each kind it has.

    Raises:
        EmocapError: no pair of the sample has a photograph with features, or these have no classifier of known classes.
    """
    settings = study.config.pseudo_labels.photographs
    assert settings is not None, "the stage exists only where photographs are configured"
    sample, own = selected(study)
    store = study.store("source")
    assert store is not None, "the study has a source with features"
    names = sorted({image for image in sample.images if image in store})
    if not names:
        raise EmocapError(
            "pseudo_labels.photographs: no pair of the sample has an image with features; raise "
            "pseudo_labels.fraction, or leave photographs out"
        )
    number = {image: place for place, image in enumerate(names)}
    numbers = np.array([number.get(image, -1) for image in sample.images], dtype=np.int64)
    probabilities = study.array("scores/probabilities.npy")
    scale = LiftScale.of(probabilities)
    z = caption_means(lifts_within(probabilities, corpora_of(study)), study.pairs("source").images, names)
    if settings.class_prior:
        texts, logits = classes_of(study, store, names)
        z += settings.class_prior * class_prior(logits, _teacher_on(study, texts), settings.temperature)
    composition = compose(numbers, settings.shares, len(settings.neutral), [study.seed, 6])
    targets = photograph_targets(own, composition, z, scale, settings.weight)
    _write(study, sample, composition, names, targets)


def corpora_of(study: TrainingUnit) -> np.ndarray:
    """(N,) int64: for each pair of the source, which of its corpora it is from."""
    known = read_value(study.root / "data.json", "data")
    counts = [values["pairs"] for name, values in known.items() if name.startswith("source/")]
    rows = study.array("source_rows.npy")
    return np.repeat(np.arange(len(counts)), counts)[rows] if counts else np.zeros(len(rows), dtype=np.int64)


def classes_of(study: TrainingUnit, store: FeatureStore, images: list[str]) -> tuple[list[str], np.ndarray]:
    """A text that names each class of the backbone's classifier, and the classifier's logits (P, C) for P images.

    The classifier takes the mean of the backbone's output over the whole image. That is stored, where the whole image
    is a region; else the mean of the first grid's cells stands for it. Features of `power` below 1 are raised to its
    inverse first, which gives less than the mean where the output varies over the image.

    Raises:
        EmocapError: the features are not those of an installed backbone of timm with a classifier of known classes.
    """
    from emocap.regions.extractors.timm_backbone import TimmExtractor  # imports torchvision, which takes seconds

    header = store.header
    hint = "extract with a backbone of timm whose classes have names, or give pseudo_labels.photographs.class_prior: 0"
    if header.extractor != TimmExtractor.name or not header.objects:
        raise EmocapError(f"{store.path}: the features of {header.extractor} come with no classifier; {hint}")
    extractor = build_extractor(header.extractor, dict(header.settings))
    if not isinstance(extractor, TimmExtractor) or extractor.weights_hash != header.weights_hash:
        raise EmocapError(f"{store.path}: the backbone {header.settings['weights']} has other weights now; {hint}")
    cells = extractor.rows * extractor.columns
    regions = (store[image][0].astype(np.float32) for image in images)
    means = np.stack([each[-1] if extractor.whole_image else each[:cells].mean(axis=0) for each in regions])
    if extractor.power != 1:
        logger.info("photographs: means of features of power %g are approximate", extractor.power)
        means = np.sign(means) * np.abs(means) ** (1 / extractor.power)
    return [f"a photo of a {name}." for name in header.objects], extractor.class_logits(means)


def _teacher_on(study: TrainingUnit, texts: list[str]) -> np.ndarray:
    """(N, E) probabilities of the teacher for texts without an image."""
    batch = study.config.teacher.eval_batch_size
    return predict_captions(study.load("teacher"), [None] * len(texts), texts, batch, "the teacher on names of classes")


def _write(study: TrainingUnit, sample: Pairs, composition: Composition, names: list[str], targets: np.ndarray) -> None:
    settings = study.config.pseudo_labels.photographs
    assert settings is not None, "the stage exists only where photographs are configured"
    kept = zip(sample.captions, composition.neutral.tolist(), strict=True)
    table = pa.table(
        {
            "pair_id": sample.pair_ids,
            "image": ["" if place < 0 else names[place] for place in composition.photographs.tolist()],
            "caption": [own if place < 0 else settings.neutral[place] for own, place in kept],
            "kind": [KINDS[kind] for kind in composition.kinds.tolist()],
            "targets": list(targets),
        }
    ).replace_schema_metadata({"vocabulary": study.vocabulary.hash})
    counts = composition.counts()
    logger.info("photographs: the student's pairs are %s", ", ".join(f"{name} {n:,}" for name, n in counts.items()))
    write_json(study.run / COUNTS, {"schema": 1, "vocabulary": study.vocabulary.hash, "pairs": counts})
    with atomic_file(study.run / SAMPLE) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def composed(study: TrainingUnit) -> tuple[Pairs, np.ndarray]:
    """The sample as the student sees it, and its targets (M, E) float32.

    Raises:
        EmocapError: it was composed of another sample, or for another vocabulary.
    """
    path = study.run / SAMPLE
    table, (sample, _) = read_parquet(path), selected(study)
    recorded = (table.schema.metadata or {}).get(b"vocabulary", b"").decode()
    if recorded != study.vocabulary.hash or table["pair_id"].to_pylist() != list(sample.pair_ids):
        raise EmocapError(f"{path}: is not of this selection; delete it and run again")
    seen = sample.table
    for name in ("image", "caption"):
        field = SCHEMA.field(name)
        seen = seen.set_column(SCHEMA.get_field_index(name), field, table[name].cast(field.type))
    return replace(sample, table=seen), np.array(table["targets"].to_pylist(), dtype=np.float32)
