"""The study as stages, each a function from files to files in one run directory.

prepare -> features -> teacher -> scores -> selection -> student -> AnB, AnB+ -> evaluation -> report
"""

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emocap.corpora.pairs import Pairs
from emocap.corpora.splits import rows_of
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.evaluation.baselines import prior
from emocap.evaluation.metrics import HIGHER_IS_BETTER, evaluate, mean_average_precision, recall_at_k
from emocap.files import read_array, read_json, whole_file, write_array, write_json
from emocap.labelling.audit import audit
from emocap.labelling.score import score
from emocap.labelling.select import select, student_targets
from emocap.models.backbone import build_config, find_backbone, load_backbone
from emocap.models.classifier import EmotionHead, VisualBertForEmotion, set_prior_bias
from emocap.models.transfer import is_head_only, transfer
from emocap.regions.store import FeatureStore
from emocap.study.config import CorpusConfig, StudyConfig
from emocap.study.gallery import write_gallery
from emocap.training.batching import PairDataset, PooledDataset
from emocap.training.checkpoint import FeatureCard, ModelCard, SavedModel, load_model, load_tokenizer, save_model
from emocap.training.predict import pooled_vectors, predict_probabilities
from emocap.training.settings import TrainSettings
from emocap.training.train import discard_checkpoints, train

logger = logging.getLogger("emocap")


def write_pairs(path: Path, pairs: Pairs) -> None:
    """Write a table of pairs as Parquet, whole or not at all."""
    with whole_file(path) as temporary:
        pq.write_table(pairs.table, temporary, compression="zstd")


def read_parquet(path: Path) -> pa.Table:
    """A table that an earlier stage wrote.

    Raises:
        EmocapError: missing, cut short or damaged.
    """
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise EmocapError(f"{path}: missing, cut short or damaged; delete it and run again") from error


@dataclass
class Study:
    """A study's configuration and run directory, and what its stages read of each other."""

    config: StudyConfig
    run: Path

    def place(self, path: Path) -> Path:
        """A corpus's path, below `data_root` unless absolute."""
        return self.config.data_root / path

    @cached_property
    def vocabulary(self) -> Vocabulary:
        values = read_json(self.run / "vocabulary.json")
        vocabulary = Vocabulary(tuple(values["labels"]))
        if vocabulary.hash != values["hash"]:
            raise EmocapError(
                f"{self.run / 'vocabulary.json'}: labels do not have the hash {values['hash']}; delete the run"
            )
        return vocabulary

    def pairs(self, domain: str) -> Pairs:
        """The "target" or "source" pairs as read by `prepare`."""
        corpus: CorpusConfig | None = getattr(self.config, domain)
        root = self.place(corpus.images) if corpus is not None and corpus.images is not None else None
        return Pairs(read_parquet(self.run / f"{domain}.parquet"), root, (), open_vocabulary=True)

    def part(self, name: str) -> Pairs:
        """The target's "train", "validation" or "test" pairs."""
        pairs = self.pairs("target")
        return pairs.select(rows_of(pairs, read_json(self.run / "splits.json")["parts"])[name])

    def store(self, domain: str) -> FeatureStore | None:
        """The region features of a domain; None for captions alone."""
        corpus: CorpusConfig | None = getattr(self.config, domain)
        if corpus is None or self.config.features is None:
            return None
        if corpus.store is not None:
            return FeatureStore.open(self.place(corpus.store))
        path = self.run / "features" / domain
        return FeatureStore.open(path) if path.is_dir() else None

    def dataset(self, tokenizer: Any, pairs: Pairs, domain: str, targets: np.ndarray | None) -> PairDataset:
        """Pairs of a domain as a dataset."""
        return PairDataset.of(pairs, tokenizer, self.config.model.max_length, self.store(domain), targets)

    def fresh_model(self, seed_offset: int) -> tuple[VisualBertForEmotion, Any]:
        """A classifier at its backbone's weights, and the tokenizer."""
        settings = self.config.model
        backbone = find_backbone(read_json(self.run / "backbone.json")["name"])
        store = self.store("source") if self.store("target") is None else self.store("target")
        config = build_config(
            backbone.folder,
            self.vocabulary,
            pooling=settings.pooling,
            visual_token_type=settings.visual_token_type,
            visual_dim=store.header.dim if store is not None else 2048,
            dropout=settings.dropout,
        )
        model, _ = load_backbone(config, backbone.folder, self.config.seed + seed_offset)
        return model, load_tokenizer(backbone.tokenizer_folder)

    def save(self, run: str, model: VisualBertForEmotion, tokenizer: Any) -> None:
        """Write a run's model folder, with the kind of region features that it, or the student it stems from, saw."""
        store = self.store("source" if run == "student" else "target")
        if store is None and run.startswith("AnB"):
            store = self.store("source")
        features: FeatureCard | None = None
        if store is not None:
            header = store.header
            features = {
                "kind": store.kind,
                "extractor": header.extractor,
                "settings": dict(header.settings),
                "dim": header.dim,
            }
        card = ModelCard(
            labels=list(self.vocabulary.labels),
            vocabulary=self.vocabulary.hash,
            max_length=self.config.model.max_length,
            features=features,
            run=run,
            frequencies=[float(share) for share in self.part("train").targets(self.vocabulary).mean(axis=0)],
            training={
                "study": self.config.name,
                "seed": self.config.seed,
                "backbone": read_json(self.run / "backbone.json")["name"],
            },
        )
        save_model(self.run / run / "model", model, tokenizer, card)

    def load(self, run: str) -> SavedModel:
        """A run's model, checked against the study's vocabulary."""
        saved = load_model(self.run / run / "model")
        self.vocabulary.require_same(saved.vocabulary.labels, str(saved.folder))
        return saved


def validation_scores(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """The scores that are followed while training."""
    return {
        "mean_average_precision": mean_average_precision(probabilities, targets),
        "recall_at_3": recall_at_k(probabilities, targets, min(3, targets.shape[1])),
    }


def fit_on_target(study: Study, run: str, model: VisualBertForEmotion, tokenizer: Any, settings: TrainSettings) -> None:
    """Train on the target's training pairs, keep the epoch that validates best, save model, history and test scores."""
    parts = {name: study.part(name) for name in ("train", "validation", "test")}
    targets = {name: pairs.targets(study.vocabulary) for name, pairs in parts.items()}
    data = {name: study.dataset(tokenizer, pairs, "target", targets[name]) for name, pairs in parts.items()}
    folder = study.run / run
    common: dict[str, Any] = {
        "name": run,
        "seed": study.config.seed,
        "metrics": validation_scores,
        "lengths": data["train"].lengths,
    }
    if is_head_only(model):
        logger.info("%s: every layer is frozen, so the encoder runs once and fc trains on its vectors", run)
        pooled = {
            name: PooledDataset(
                pooled_vectors(model, data[name], settings.eval_batch_size, f"{run} vectors"), targets[name]
            )
            for name in ("train", "validation")
        }
        head = EmotionHead(model.fc)
        history = train(
            head, pooled["train"], pooled["validation"], settings, folder, collate=PooledDataset.collate, **common
        )
    else:
        history = train(
            model, data["train"], data["validation"], settings, folder, collate=data["train"].collate, **common
        )
    finish(study, run, model, tokenizer, history, data["test"], settings.eval_batch_size)


def finish(
    study: Study,
    run: str,
    model: VisualBertForEmotion,
    tokenizer: Any,
    history: dict[str, Any],
    test: PairDataset,
    batch: int,
) -> None:
    """Save a trained model with its history and its probabilities for the test pairs, and drop its checkpoints."""
    write_array(
        study.run / run / "test_probabilities.npy", predict_probabilities(model, test, batch, f"{run} on test pairs")
    )
    study.save(run, model, tokenizer)
    write_json(study.run / run / "history.json", history)
    discard_checkpoints(study.run / run)


def teacher(study: Study) -> None:
    """Train the teacher on the target."""
    model, tokenizer = study.fresh_model(0)
    set_prior_bias(model.fc, _frequencies(study.part("train").targets(study.vocabulary)))
    fit_on_target(study, "teacher", model, tokenizer, study.config.teacher)


def scores(study: Study) -> None:
    """Let the teacher score every source pair."""
    folder = study.run / "scores"
    saved, store = study.load("teacher"), study.store("source")
    if saved.card.features is None and store is not None:
        logger.info("scores: the teacher learnt from captions alone, so it judges the source's captions alone")
        store = None
    probabilities = score(saved, study.pairs("source"), store, folder, study.config.teacher.eval_batch_size)
    write_array(folder / "probabilities.npy", probabilities)


def selection(study: Study) -> None:
    """Select the pseudo-labelled sample, and audit it."""
    settings = study.config.pseudo_labels
    probabilities = read_array(study.run / "scores" / "probabilities.npy")
    chosen = select(probabilities, settings.p, settings.k, settings.fraction, study.config.seed)
    targets = student_targets(probabilities, chosen, settings.targets)
    report = audit(
        probabilities,
        chosen,
        study.vocabulary.labels,
        study.part("train").targets(study.vocabulary),
        settings.model_dump(),
    )
    if report["warning"]:
        logger.warning("%s", report["warning"])
    table = pa.table({"row": chosen.rows, "targets": list(targets)}).replace_schema_metadata(
        {"vocabulary": study.vocabulary.hash}
    )
    write_json(study.run / "audit.json", report | {"vocabulary": study.vocabulary.hash})
    with whole_file(study.run / "selection.parquet") as temporary:
        pq.write_table(table, temporary)


def student(study: Study) -> None:
    """Pre-train the student on the pseudo-labelled sample."""
    table = read_parquet(study.run / "selection.parquet")
    found = (table.schema.metadata or {}).get(b"vocabulary", b"").decode()
    if found != study.vocabulary.hash:
        raise EmocapError(f"{study.run / 'selection.parquet'}: vocabulary {found}, expected {study.vocabulary.hash}")
    targets = np.array(table["targets"].to_pylist(), dtype=np.float32)
    model, tokenizer = study.fresh_model(1)
    set_prior_bias(model.fc, _frequencies(targets))
    sample = study.pairs("source").select(table["row"].to_numpy())
    training = study.dataset(tokenizer, sample, "source", targets)
    settings = study.config.student
    history = train(
        model,
        training,
        None,
        settings,
        study.run / "student",
        name="student",
        seed=study.config.seed,
        metrics=validation_scores,
        collate=training.collate,
        lengths=training.lengths,
    )
    test = study.dataset(tokenizer, study.part("test"), "target", None)
    finish(study, "student", model, tokenizer, history, test, settings.eval_batch_size)


def back_to_target(study: Study, run: str) -> None:
    """Transfer the student to the target, as "AnB" (frozen) or "AnB+" (not frozen)."""
    settings = study.config.transfer
    saved = study.load("student")
    copied = settings.head == "copied"
    model = transfer(
        saved.model, settings.n_transferred, freeze=run == "AnB", copy_head=copied, seed=study.config.seed + 2
    )
    if not copied:
        set_prior_bias(model.fc, _frequencies(study.part("train").targets(study.vocabulary)))
    fit_on_target(study, run, model, saved.tokenizer, settings.AnB if run == "AnB" else settings.AnB_plus)


def evaluation(study: Study) -> None:
    """Score every model on the held-out images, beside the prior and, where the truth is known, the ceiling."""
    test = study.part("test")
    targets = test.targets(study.vocabulary)
    probabilities = {"prior": prior(study.part("train").targets(study.vocabulary), len(test))}
    for run in runs_of(study.config):
        path = study.run / run / "test_probabilities.npy"
        probabilities[run] = read_array(path)
        if (found := probabilities[run].shape) != targets.shape:
            raise EmocapError(f"{path}: holds {found}, expected {targets.shape}; delete its folder and run again")
    labels = study.vocabulary.labels
    results: dict[str, Any] = {
        "schema": 1,
        "labels": list(labels),
        "vocabulary": study.vocabulary.hash,
        "n_test_pairs": len(test),
        "n_test_images": len(test.distinct_images()),
        "metrics": {name: {"higher_is_better": higher} for name, higher in HIGHER_IS_BETTER.items()},
        "models": {run: evaluate(scores, targets, labels) for run, scores in probabilities.items()},
    }
    if study.config.target.oracle is not None:
        truth = read_oracle(study.place(study.config.target.oracle), test, study.vocabulary)
        results["ceiling"] = evaluate(truth, targets, labels)
    best = runs_of(study.config)[-1]
    write_gallery(study.run, best, test, probabilities[best], targets, study.vocabulary)
    write_json(study.run / "results.json", results)


def read_oracle(path: Path, pairs: Pairs, vocabulary: Vocabulary) -> np.ndarray:
    """(N, E) true probabilities of these pairs, in the vocabulary's order.

    Raises:
        EmocapError: the file cannot be read, or lacks a pair or an emotion.
    """
    try:
        table = pq.read_table(path)
        labels = json.loads(table.schema.metadata[b"labels"])
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise EmocapError(
            f"{path}: not an oracle of emocap's scenes ({type(error).__name__}); write the corpora again"
        ) from None
    rows = {pair_id: row for row, pair_id in enumerate(table["pair_id"].to_pylist())}
    missing = [pair_id for pair_id in pairs.pair_ids if pair_id not in rows]
    absent = [label for label in vocabulary.labels if label not in labels]
    if missing or absent:
        raise EmocapError(f"{path}: lacks {(missing or absent)[0]!r}; write the corpora again")
    probabilities = np.array(table["probabilities"].to_pylist(), dtype=np.float64)
    columns = [labels.index(label) for label in vocabulary.labels]
    return probabilities[[rows[pair_id] for pair_id in pairs.pair_ids]][:, columns]


def runs_of(config: StudyConfig) -> list[str]:
    """The models that a study trains, in order."""
    return ["teacher", "student", "AnB", "AnB+"] if config.source is not None else ["teacher"]


def _frequencies(targets: np.ndarray) -> Any:
    import torch

    return torch.as_tensor(targets.mean(axis=0))


def count_faults(faults: list[tuple[str, str]]) -> dict[str, Any]:
    """Count, reasons and the first ten examples of quarantined rows, for the manifest."""
    reasons = Counter(reason for _, reason in faults)
    examples = [{"where": where, "reason": reason} for where, reason in faults[:10]]
    return {"count": len(faults), "reasons": dict(reasons.most_common(20)), "examples": examples}


STAGES: dict[str, Callable[[Study], None]] = {
    "teacher": teacher,
    "scores": scores,
    "selection": selection,
    "student": student,
    "AnB": lambda study: back_to_target(study, "AnB"),
    "AnB+": lambda study: back_to_target(study, "AnB+"),
    "evaluation": evaluation,
}
