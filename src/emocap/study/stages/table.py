"""The stages of a study, one table: scope, inputs, outputs, and the configuration and files that each depends on.

A stage is a function from files to files in one run directory. The order here is the order in which they run; those of
scope "unit" run once for each seed and fold. What code a stage depends on follows from its imports (`study.cache`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from emocap.classifiers import evaluation_file, training_pairs
from emocap.classifiers import familiarity as familiarity_file
from emocap.classifiers.places import RECOMMENDED
from emocap.regions.extractors.registry import extractor_modules
from emocap.study.config.pseudo_labels import SAMPLE_KEYS
from emocap.study.config.study import StudyConfig
from emocap.study.models import MODELS, StudyModel
from emocap.study.stages import (
    backbones,
    captioner,
    captions,
    conditions,
    controls,
    evaluation,
    familiarity,
    features,
    labelled,
    modality_ablation,
    model_folders,
    photographs,
    prepare,
    pseudo_label_study,
    scores,
    selection,
    splits,
    student,
    teacher,
    transfer,
    transfer_study,
)
from emocap.study.stages import baselines as baselines_stage

PREDICTIONS = ("history.json", "validation_probabilities.npy", "test_probabilities.npy")
FORMER_OUTPUTS = ("signal", "stages/signal.json")  # of version 0.1
EVALUATION = ("results.json", "predictions.parquet", "gallery.json", "gallery")
RESULTS = (*EVALUATION, RECOMMENDED, model_folders.FOLDER, familiarity.OUTPUT, "report.html")
SAMPLE = tuple(f"pseudo_labels.{key}" for key in SAMPLE_KEYS)

CAPTIONER = (
    "pseudo_labels.p",
    *(f"captioner.{key}" for key in ("encoder", "encoder_layers", "decoder_layers", "decoder_init", "tokens")),
    *(f"captioner.{key}" for key in ("dropout", "pairs", "rank", "styles", "drop_emotions", "contrast")),
    *(f"captioner.{key}" for key in ("words", "training", "candidates")),
)


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: on the command line, in logs and in the manifest.
        run: the function; it takes the unit, the study where `scope` is "study", all units where it is "units".
        scope: "study" runs once before the units, "unit" once for each, "units" once after them.
        inputs: stages whose outputs it reads; those that a study has not are left out. One of scope "units" reads those
            of all units besides.
        outputs: paths below the run directory, or the unit's folder, that exist once it is finished.
        adds: names of files that it writes into the model folders of other stages.
        config_keys: keys of the configuration that it depends on; a unit's stage depends on model and seed besides.
        additive_keys: keys that only add to its outputs: where they change it runs again, but keeps what it has.
        optional_outputs: further outputs and when they are written.
        when: whether a study has this stage.
        files: files outside the run directory that it reads.
        plugins: modules that it loads by name, which its imports do not show.
        trains: whether it trains, loads or evaluates models, and so depends on the table of models.
        invalidates: what is removed when it runs: "results" of the study, or "all" that later stages wrote.
    """

    name: str
    run: Callable[[Any], None]
    scope: Literal["study", "unit", "units"]
    inputs: Sequence[str]
    outputs: Sequence[str]
    adds: Sequence[str] = ()
    config_keys: Sequence[str] = ()
    additive_keys: Sequence[str] = ()
    optional_outputs: Sequence[tuple[str, Callable[[StudyConfig], bool]]] = ()
    when: Callable[[StudyConfig], bool] = conditions.always
    files: Callable[[Any], Sequence[Path]] | None = None
    plugins: Callable[[StudyConfig], Sequence[str]] | None = None
    trains: bool = True
    invalidates: Literal["results", "all"] = "results"

    def outputs_of(self, config: StudyConfig) -> list[str]:
        """The outputs in a study of this configuration."""
        return [*self.outputs, *(output for output, written in self.optional_outputs if written(config))]

    def modules(self, config: StudyConfig) -> list[str]:
        """The modules that its code starts from."""
        function = self.run.func if isinstance(self.run, partial) else self.run
        return [function.__module__, *(self.plugins(config) if self.plugins is not None else ())]


def _model_outputs(name: str) -> list[str]:
    """A model's folder, which is removed as a whole once the model is outdated, and what must be in it."""
    return [name, *(f"{name}/{part}" for part in ("model", *PREDICTIONS))]


def _transfer_stage(entry: StudyModel) -> Stage:
    assert entry.settings is not None, "it is trained"
    assert entry.starts_from is not None, "it copies layers"
    return Stage(
        entry.name,
        partial(transfer.back_to_target, entry=entry),
        scope="unit",
        inputs=["splits", entry.starts_from],
        outputs=_model_outputs(entry.name),
        config_keys=["label_aggregation", "transfer.n_transferred", "transfer.head", entry.settings],
        when=lambda config: entry.name in (*config.models, *config.controls),
    )


def _extractor_modules(config: StudyConfig) -> list[str]:
    return [] if config.features is None else extractor_modules(config.features.extractor)


def _oracle_files(units: Sequence[Any]) -> list[Path]:
    oracle = units[0].config.target.oracle
    return [units[0].place(oracle)] if oracle is not None else []


_STAGES = (
    Stage(
        "prepare",
        prepare.prepare,
        scope="study",
        inputs=[],
        outputs=["target.parquet", "vocabulary.json", "ratings.json", "backbone.json", "data.json"],
        optional_outputs=[
            ("source.parquet", conditions.has_source),
            ("labelled_source.parquet", conditions.has_labelled_source),
            ("labelled_vocabulary.json", conditions.has_labelled_source),
            ("labelled_ratings.json", conditions.has_labelled_source),
        ],
        config_keys=["target", "source", "labelled_source", "min_count", "model", "label_aggregation", "seed"],
        files=prepare.input_files,
        invalidates="all",
        trains=False,
    ),
    Stage(
        "teacher_backbone",
        partial(backbones.own_backbone, role="teacher"),
        scope="study",
        inputs=["prepare"],
        outputs=["teacher_backbone.json"],
        config_keys=["model", "teacher.backbone", "transfer.layers", "transfer.controls"],
        when=conditions.has_own_teacher_backbone,
        files=partial(backbones.own_backbone_files, role="teacher"),
        trains=False,
    ),
    Stage(
        "labelled_backbone",
        partial(backbones.own_backbone, role="labelled"),
        scope="study",
        inputs=["prepare"],
        outputs=["labelled_backbone.json"],
        config_keys=["model", "labelled.backbone", "transfer.layers", "transfer.controls"],
        when=conditions.has_own_labelled_backbone,
        files=partial(backbones.own_backbone_files, role="labelled"),
        trains=False,
    ),
    Stage(
        "features",
        features.features,
        scope="study",
        inputs=["prepare"],
        outputs=["features"],
        optional_outputs=[(features.EXTRACTOR, features.extracts)],
        config_keys=["features", "data_root"],
        files=features.input_files,
        plugins=_extractor_modules,
        invalidates="all",
        trains=False,
    ),
    Stage(
        "labelled",
        labelled.labelled,
        scope="study",
        inputs=["prepare", "labelled_backbone", "features"],
        outputs=["labelled", "labelled/model", "labelled/history.json"],
        config_keys=["model", "seed", "labelled"],
        when=conditions.has_labelled_source,
    ),
    Stage(
        "splits",
        splits.splits,
        scope="unit",
        inputs=["prepare"],
        outputs=["splits.json"],
        optional_outputs=[
            ("source_rows.npy", conditions.has_source),
            ("caption_images.json", conditions.has_captioner),
        ],
        config_keys=["splits", "folds", "captioner.held_out_images", "captioner.tuning_images"],
        trains=False,
    ),
    Stage(
        "baselines",
        baselines_stage.baselines,
        scope="unit",
        inputs=["splits", "features"],
        outputs=["baselines"],
        config_keys=["baselines"],
        trains=False,
    ),
    Stage(
        "teacher",
        teacher.teacher,
        scope="unit",
        inputs=["splits", "teacher_backbone", "features"],
        outputs=_model_outputs("teacher"),
        config_keys=["label_aggregation", "teacher"],
    ),
    Stage(
        "teacher_text",
        teacher.teacher_text,
        scope="unit",
        inputs=["splits", "teacher_backbone"],
        outputs=_model_outputs("teacher_text"),
        config_keys=["label_aggregation", "teacher"],
        when=lambda config: config.evaluation.text_alone,
    ),
    Stage(
        "scores",
        scores.scores,
        scope="unit",
        inputs=["teacher"],
        outputs=["scores", "scores/probabilities.npy"],
        when=conditions.has_source,
    ),
    Stage(
        "selection",
        selection.selection,
        scope="unit",
        inputs=["scores"],
        outputs=["selection.parquet", selection.LIFT, "audit.json"],
        config_keys=SAMPLE,
        when=conditions.has_source,
    ),
    Stage(
        "photographs",
        photographs.photographs,
        scope="unit",
        inputs=["selection", "features", "teacher"],
        outputs=[photographs.SAMPLE, photographs.COUNTS],
        config_keys=["pseudo_labels.photographs"],
        when=conditions.has_photographs,
    ),
    Stage(
        "student",
        student.student,
        scope="unit",
        inputs=["selection", "photographs"],
        outputs=_model_outputs("student"),
        config_keys=["student"],
        when=conditions.has_source,
    ),
    Stage(
        "student_own",
        controls.student_of_own_texts,
        scope="unit",
        inputs=["selection", "teacher"],
        outputs=_model_outputs("student_own"),
        config_keys=["student"],
        when=conditions.has_control("own_texts"),
    ),
    Stage(
        "student_shuffled",
        controls.student_of_shuffled_labels,
        scope="unit",
        inputs=["selection"],
        outputs=_model_outputs("student_shuffled"),
        config_keys=["student"],
        when=conditions.has_control("shuffled"),
    ),
    *(
        _transfer_stage(entry)
        for entry in MODELS.values()
        if entry.kind in ("study", "control") and entry.starts_from in MODELS
    ),
    Stage(
        "transfer_study",
        transfer_study.transfer_study,
        scope="unit",
        inputs=["teacher", "student", "labelled"],
        outputs=[transfer_study.FOLDER, f"{transfer_study.FOLDER}/points.json"],
        config_keys=["label_aggregation", "teacher", "transfer.AnB", "transfer.AnB+", "transfer.AnB-LoRA"],
        additive_keys=["transfer.layers", "transfer.controls", "transfer.seeds"],
        when=lambda config: config.transfer.layers is not None,
    ),
    Stage(
        "pseudo_label_study",
        pseudo_label_study.pseudo_label_study,
        scope="unit",
        inputs=["scores", "teacher"],
        outputs=[pseudo_label_study.FOLDER, f"{pseudo_label_study.FOLDER}/points.json"],
        config_keys=[
            "label_aggregation",
            *SAMPLE,
            "student",
            "transfer.n_transferred",
            "transfer.head",
            "transfer.AnB+",
        ],
        additive_keys=["pseudo_labels.study"],
        when=lambda config: config.pseudo_labels.study is not None,
    ),
    Stage(
        "captioner",
        captioner.captioner,
        scope="unit",
        inputs=["scores", "selection", "student"],
        outputs=[captioner.RUN, f"{captioner.RUN}/model", f"{captioner.RUN}/history.json"],
        config_keys=CAPTIONER,
        when=conditions.has_captioner,
    ),
    Stage(
        "captioner_shuffled",
        captioner.shuffled_captioner,
        scope="unit",
        inputs=["scores", "selection", "student"],
        outputs=[captioner.SHUFFLED, f"{captioner.SHUFFLED}/model", f"{captioner.SHUFFLED}/history.json"],
        config_keys=CAPTIONER,
        when=conditions.has_shuffled_captioner,
    ),
    Stage(
        "captions",
        captions.captions,
        scope="unit",
        inputs=["splits", "captioner", "captioner_shuffled", "AnB+"],
        outputs=[
            f"{captioner.RUN}/{name}" for name in ("captions.json", "gallery", *captions.SHEETS, *captions.CHOSEN)
        ],
        config_keys=["captioner", "baselines.vectors"],
        when=conditions.has_captioner,
    ),
    Stage(
        "modality_ablation",
        modality_ablation.modality_ablation,
        scope="unit",
        inputs=["features", "teacher", "AnB+", "labelled_AnB+"],
        outputs=[modality_ablation.FOLDER],
        when=lambda config: config.target_has_images,
    ),
    Stage(
        "evaluation",
        evaluation.evaluation,
        scope="units",
        inputs=[],
        outputs=EVALUATION,
        config_keys=["evaluation"],
        files=_oracle_files,
    ),
    Stage(
        "model_folders",
        model_folders.model_folders,
        scope="units",
        inputs=["evaluation"],
        outputs=[RECOMMENDED],
        adds=[evaluation_file.EVALUATION],
        optional_outputs=[(model_folders.FOLDER, lambda config: len(config.units) > 1 or bool(config.members))],
        config_keys=["name", "baselines", "evaluation", "keep_models"],
    ),
    Stage(
        "familiarity",
        familiarity.familiarity,
        scope="units",
        inputs=["model_folders"],
        outputs=[familiarity.OUTPUT],
        adds=[familiarity_file.FILE, training_pairs.FILE],
        config_keys=["keep_models"],
        plugins=_extractor_modules,
    ),
)
STAGES: dict[str, Stage] = {stage.name: stage for stage in _STAGES}


def stages_of(config: StudyConfig, scope: str) -> list[Stage]:
    """The stages of one scope that a study has, in order."""
    return [stage for stage in STAGES.values() if stage.scope == scope and stage.when(config)]


def invalidated_by(stage: Stage) -> list[str]:
    """Paths below the run directory that are removed when a stage runs."""
    if stage.invalidates == "results":
        return list(RESULTS)
    following = list(STAGES.values())[list(STAGES).index(stage.name) + 1 :]
    later = [
        output
        for other in following
        if other.name != "features"
        for output in (*other.outputs, *(name for name, _ in other.optional_outputs))
    ]
    return [*RESULTS, *FORMER_OUTPUTS, "units", *dict.fromkeys(output.split("/")[0] for output in later)]
