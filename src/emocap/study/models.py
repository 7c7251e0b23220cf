"""The models of a study, one table: what each starts from, what is trained, its settings, and how a report shows it.

Whoever needs to know something about a model looks here; no other code parses a model's name.
"""

from collections.abc import Collection

from emocap.study.study_model import StudyModel

_ROWS = (
    StudyModel(
        "prior",
        "baseline",
        "the emotion frequencies of the training pairs, the same for every pair",
        label="the prior",
        series=0,
        marker="|",
        filled=True,
        rating_description="the mean ratings of the training pairs, the same for every pair",
    ),
    StudyModel(
        "tfidf",
        "baseline",
        "logistic regression on the caption’s TF-IDF",
        label="tfidf",
        series=4,
        marker="D",
        reads=("caption",),
        rating_description="ridge regression on the caption’s TF-IDF",
    ),
    StudyModel(
        "vectors",
        "baseline",
        "logistic regression on a sentence vector of the caption",
        label="vectors",
        series=4,
        marker="D",
        reads=("caption",),
        rating_description="ridge regression on a sentence vector of the caption",
    ),
    StudyModel(
        "neighbours",
        "baseline",
        "k nearest neighbours: the emotions of the most similar training captions",
        label="neighbours",
        series=4,
        marker="D",
        reads=("caption",),
    ),
    StudyModel(
        "image_probe",
        "baseline",
        "logistic regression on the mean of the image’s region features",
        label="the image probe",
        series=4,
        marker="D",
        display_name="image probe",
        reads=("image",),
        rating_description="ridge regression on the mean of the image’s region features",
    ),
    StudyModel(
        "image_probe_labelled",
        "baseline",
        "the image probe, fitted to the labelled source’s images too for each emotion where the validation pairs "
        "prefer that",
        label="the image probe with the labelled source",
        series=4,
        marker="D",
        display_name="image probe, labelled source",
        corpus="labelled_source",
        reads=("image",),
        rating_description="the image probe, fitted to the labelled source’s images too for each rating where the "
        "validation pairs prefer that",
    ),
    StudyModel(
        "vectors_image",
        "baseline",
        "logistic regression on the caption’s sentence vector and the mean of the image’s region features",
        label="vectors with the image",
        series=4,
        marker="D",
        display_name="vectors + image",
        reads=("caption", "image"),
        rating_description="ridge regression on the caption’s sentence vector and the image’s mean region features",
    ),
    StudyModel(
        "best_baseline",
        "selection",
        "in each unit the baseline with the highest mean average precision on the validation pairs",
        label="the best baseline",
        series=4,
        marker="D",
        display_name="best baseline",
    ),
    StudyModel(
        "teacher_text",
        "study",
        "the teacher’s architecture, trained on the target’s captions alone",
        label="the teacher of captions alone",
        series=4,
        marker="^",
        display_name="teacher, text alone",
        starts_from="backbone",
        settings="teacher",
        features_from=(),
    ),
    StudyModel(
        "teacher",
        "study",
        "trained on the target pairs alone",
        label="the teacher",
        series=3,
        marker="^",
        starts_from="backbone",
        settings="teacher",
        in_ensemble=True,
    ),
    StudyModel(
        "student",
        "study",
        "trained on the teacher’s pseudo-labels of the source",
        label="the student",
        series=3,
        marker="v",
        corpus="source",
        starts_from="backbone",
        settings="student",
        features_from=("source",),
    ),
    StudyModel(
        "AnB",
        "study",
        "the student’s layers copied and frozen, the rest trained on the target",
        label="AnB",
        series=2,
        marker="s",
        corpus="source",
        starts_from="student",
        frozen=True,
        settings="transfer.AnB",
        features_from=("target", "source"),
    ),
    StudyModel(
        "AnB+",
        "study",
        "the student’s layers copied, everything fine-tuned on the target",
        label="AnB+",
        series=1,
        marker="o",
        filled=True,
        corpus="source",
        starts_from="student",
        settings="transfer.AnB+",
        features_from=("target", "source"),
        in_ensemble=True,
    ),
    StudyModel(
        "AnB-LoRA",
        "study",
        "the student’s layers copied, low-rank updates of their matrices trained on the target",
        label="AnB-LoRA",
        series=2,
        marker="X",
        filled=True,
        corpus="source",
        starts_from="student",
        settings="transfer.AnB-LoRA",
        features_from=("target", "source"),
        is_optional=True,
    ),
    StudyModel(
        "labelled",
        "pretraining",
        "trained on the labelled source’s own emotions",
        label="labelled",
        series=3,
        marker="v",
        corpus="labelled_source",
        starts_from="backbone",
        settings="labelled",
        features_from=("labelled_source",),
    ),
    StudyModel(
        "labelled_AnB",
        "study",
        "the layers of the labelled source’s model copied and frozen, the rest trained on the target",
        label="labelled_AnB",
        series=2,
        marker="s",
        corpus="labelled_source",
        starts_from="labelled",
        frozen=True,
        settings="transfer.AnB",
        features_from=("target", "labelled_source"),
    ),
    StudyModel(
        "labelled_AnB+",
        "study",
        "the layers of the labelled source’s model copied, everything fine-tuned on the target",
        label="labelled_AnB+",
        series=1,
        marker="o",
        filled=True,
        corpus="labelled_source",
        starts_from="labelled",
        settings="transfer.AnB+",
        features_from=("target", "labelled_source"),
        in_ensemble=True,
    ),
    StudyModel(
        "labelled_AnB-LoRA",
        "study",
        "the layers of the labelled source’s model copied, low-rank updates of their matrices trained on the target",
        label="labelled_AnB-LoRA",
        series=2,
        marker="X",
        filled=True,
        corpus="labelled_source",
        starts_from="labelled",
        settings="transfer.AnB-LoRA",
        features_from=("target", "labelled_source"),
        is_optional=True,
    ),
    StudyModel(
        "student_own",
        "control",
        "a student of the teacher’s soft labels of the target’s own training pairs, for as many steps as the student",
        label="the student of the target’s own texts",
        series=4,
        marker="v",
        display_name="student, own texts",
        corpus="source",
        starts_from="backbone",
        settings="student",
        control="own_texts",
    ),
    StudyModel(
        "AnB+_own",
        "control",
        "as AnB+, from the student of the target’s own texts: no source",
        label="AnB+ from the target’s own texts",
        series=4,
        marker="o",
        display_name="AnB+, own texts",
        corpus="source",
        starts_from="student_own",
        settings="transfer.AnB+",
        control="own_texts",
    ),
    StudyModel(
        "student_shuffled",
        "control",
        "the student, with each pair’s pseudo-labels assigned to another pair of the sample",
        label="the student of shuffled pseudo-labels",
        series=4,
        marker="v",
        display_name="student, shuffled labels",
        corpus="source",
        starts_from="backbone",
        settings="student",
        features_from=("source",),
        control="shuffled",
    ),
    StudyModel(
        "AnB+_shuffled",
        "control",
        "as AnB+, from the student of shuffled pseudo-labels",
        label="AnB+ from shuffled pseudo-labels",
        series=4,
        marker="o",
        display_name="AnB+, shuffled labels",
        corpus="source",
        starts_from="student_shuffled",
        settings="transfer.AnB+",
        features_from=("target", "source"),
        control="shuffled",
    ),
    StudyModel("ensemble", "ensemble", "mean of several models’ logits", "the ensemble", 1, "P", filled=True),
    StudyModel(
        "BnB",
        "reference",
        "the teacher’s own layers copied and frozen, the rest trained on the target",
        label="BnB",
        series=3,
        marker="^",
        starts_from="teacher",
        frozen=True,
        settings="transfer.AnB",
    ),
    StudyModel(
        "BnB+",
        "reference",
        "the teacher’s own layers copied, everything fine-tuned on the target",
        label="BnB+",
        series=4,
        marker="D",
        filled=True,
        starts_from="teacher",
        settings="transfer.AnB+",
    ),
    StudyModel(
        "probe_then_finetune",
        "reference",
        "the backbone with a trained linear layer first, then everything fine-tuned",
        label="probe, then fine-tune",
        series=3,
        marker="^",
        display_name="probe, then fine-tune",
        starts_from="backbone",
        settings="transfer.AnB+",
    ),
    StudyModel(
        "ceiling",
        "reference",
        "the true probabilities, which the synthetic corpus knows; by chance a model may exceed them",
        label="the oracle",
        series=4,
        marker="D",
        display_name="oracle",
    ),
)
MODELS: dict[str, StudyModel] = {model.name: model for model in _ROWS}
BASELINES = tuple(name for name, model in MODELS.items() if model.kind == "baseline")


def display_name(model: str) -> str:
    """A model's name in tables and legends; one that is not in the table keeps its own.

    >>> display_name("AnB+"), display_name("ceiling")
    ('AnB+', 'oracle')
    """
    entry = MODELS.get(model)
    return model if entry is None or entry.display_name is None else entry.display_name


def compared_baseline(model: str) -> str:
    """What a model is compared with, within a sentence, before its score.

    >>> compared_baseline("prior"), compared_baseline("vectors")
    ('the prior', 'the baseline that the validation pairs chose, vectors,')
    >>> compared_baseline("best_baseline")
    'the baseline that the validation pairs of each training run chose'
    """
    entry = MODELS.get(model)
    if model == "prior":
        return MODELS[model].label
    if entry is not None and entry.kind == "selection":
        return "the baseline that the validation pairs of each training run chose"
    return f"the baseline that the validation pairs chose, {display_name(model)},"


def control_models(controls: Collection[str]) -> list[str]:
    """The models of the named controls, in order.

    >>> control_models(["own_texts"])
    ['student_own', 'AnB+_own']
    """
    return [name for name, model in MODELS.items() if model.control in controls]


def trained_models(corpora: Collection[str], *, text_alone: bool = False, optional: bool = False) -> list[str]:
    """The models that are trained and evaluated on the target in a study of these corpora, in order.

    Args:
        corpora: domains.
        text_alone: whether a model that sees captions alone is trained too.
        optional: whether those that exist only where their settings are given are trained too.

    >>> trained_models(["target", "source"])
    ['teacher', 'student', 'AnB', 'AnB+']
    >>> trained_models(["target"], text_alone=True)
    ['teacher_text', 'teacher']
    """
    return [
        name
        for name, model in MODELS.items()
        if model.kind == "study"
        and (model.corpus is None or model.corpus in corpora)
        and (model.features_from or text_alone)
        and (not model.is_optional or optional)
    ]
