"""The stage that selects the pseudo-labelled sample and audits it (Yalniz et al. 2019)."""

import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError
from emocap.files import atomic_file, write_json
from emocap.pseudo_labels.audit import audit
from emocap.pseudo_labels.lift import LiftScale, lift
from emocap.pseudo_labels.select import Selection, select, student_targets
from emocap.study.artifacts import read_parquet
from emocap.study.config.pseudo_labels import SAMPLE_KEYS, PseudoLabelConfig
from emocap.study.unit import Unit

logger = logging.getLogger("emocap")
LIFT = "lift.json"


def pseudo_labels(study: Unit, settings: PseudoLabelConfig, seed: int) -> tuple[Selection, np.ndarray, np.ndarray]:
    """Select a sample of the source.

    Returns:
        The selection of M pairs, their targets (M, E), and the teacher's probabilities of all pairs (N, E).
    """
    probabilities = study.array("scores/probabilities.npy")
    lifts = lifts_for(settings, probabilities)
    images = study.pairs("source").images
    sample = select(
        probabilities,
        settings.p,
        settings.k,
        settings.fraction,
        seed,
        images=images,
        min_agreement=settings.min_agreement,
        lifts=lifts,
    )
    targets = student_targets(probabilities, sample, settings.label_type, p=settings.p, images=images, lifts=lifts)
    return sample, targets, probabilities


def lifts_for(settings: PseudoLabelConfig, probabilities: np.ndarray) -> np.ndarray | None:
    """(N, E) lifts over the source where the settings rank by lift, None where they rank by probability."""
    return lift(probabilities, LiftScale.of(probabilities)) if settings.rank == "lift" else None


def selection(study: Unit) -> None:
    """Select the pseudo-labelled sample and audit it; write the scale of the lifts."""
    settings = study.config.pseudo_labels
    sample, targets, probabilities = pseudo_labels(study, settings, study.seed)
    scale = LiftScale.of(probabilities)
    if settings.rank == "lift" and not scale.sd.any():
        logger.warning("pseudo_labels.rank is lift, but no probability varies over the source: ranked by probability")
    report = audit(
        probabilities,
        sample,
        study.vocabulary.labels,
        study.truth("train"),
        settings.model_dump(include=set(SAMPLE_KEYS)),
        lifts=lift(probabilities, scale),
        images=study.pairs("source").images,
    )
    if report["warning"]:
        logger.warning("%s", report["warning"])
    table = pa.table({"row": sample.rows, "targets": list(targets)}).replace_schema_metadata(
        {"vocabulary": study.vocabulary.hash}
    )
    scale.save(study.run / LIFT, study.vocabulary)
    write_json(study.run / "audit.json", report | {"vocabulary": study.vocabulary.hash})
    with atomic_file(study.run / "selection.parquet") as temporary:
        pq.write_table(table, temporary)


def selected(study: Unit) -> tuple[Pairs, np.ndarray]:
    """The pseudo-labelled sample, and its targets (M, E) float32.

    Raises:
        EmocapError: the selection was made for another vocabulary.
    """
    table = read_parquet(study.run / "selection.parquet")
    recorded = (table.schema.metadata or {}).get(b"vocabulary", b"").decode()
    if recorded != study.vocabulary.hash:
        raise EmocapError(
            f"{study.run / 'selection.parquet'}: vocabulary {recorded!r}, expected {study.vocabulary.hash}; "
            "delete it and run again"
        )
    targets = np.array(table["targets"].to_pylist(), dtype=np.float32)
    return study.pairs("source").select(table["row"].to_numpy()), targets
