"""The sections of the page, one table: anchor, headings, template, and the function that builds what it shows.

To add a section, write its template and add an entry with its function here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emocap.report import provenance
from emocap.report.calibration import calibration_section
from emocap.report.captions import caption_section
from emocap.report.files.comparison import PER_EMOTION
from emocap.report.files.results import Results
from emocap.report.files.run import Run
from emocap.report.files.studies import PseudoLabelStudy, TransferStudy
from emocap.report.findings import pseudo_label_sentence, transfer_sentence
from emocap.report.gallery import gallery_cards
from emocap.report.legends import definitions, marks_in_words
from emocap.report.modality import ablation_sentence
from emocap.report.notes import model_notes
from emocap.report.plots import pseudo_labels, scores, training, transfer, trust
from emocap.report.plots.figure import Drawing
from emocap.report.plots.losses import has_running_mean
from emocap.report.ratings import rating_section
from emocap.report.summary import repeats
from emocap.report.tables import (
    Cell,
    column_names,
    difference_cell,
    difference_tables,
    full_table,
    human_table,
    score_cell,
    summary_metrics,
    summary_table,
)
from emocap.report.text import capitalized, label_of, number
from emocap.report.training_length import briefly_trained
from emocap.report.verdict import verdict
from emocap.study.models import display_name

Content = Mapping[str, Any]


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Attributes:
        anchor: its id on the page.
        link: its name in the navigation.
        title: its heading, or a function that makes it from what the section shows.
        template: file in `templates/`, rendered with `content`.
        build: returns what the template shows; None where the run has nothing for the section, which is then left out.
        of_emotions: whether it is about emotions, so that a study of ratings alone has none.
    """

    anchor: str
    link: str
    title: str | Callable[[Run], str]
    template: str
    build: Callable[[Run], Any | None]
    of_emotions: bool = False

    def has_data(self, run: Run) -> bool:
        """Whether the study predicts what the section is about."""
        return bool(run.results.labels) or not self.of_emotions

    def heading(self, run: Run) -> str:
        """The heading on the page of a run."""
        return self.title if isinstance(self.title, str) else self.title(run)


def score_section(run: Run) -> Content:
    """The tables of scores and differences."""
    results = run.results
    return {
        "repeats": repeats(results),
        "columns": column_names(results, summary_metrics(results.metrics)),
        "groups": summary_table(results),
        "definitions": definitions(results.metrics),
        "marks": marks_in_words(results, several_metrics=True),
        "notes": model_notes(results),
        "models": [display_name(name) for name in results.ordered_models()],
        "all_metrics": full_table(results),
        "differences": difference_tables(results),
    }


def training_section(run: Run) -> Content | None:
    """Loss curves, and the metrics of the transferred models."""
    histories, prior_bce = run.histories, run.results.models["prior"].get("bce")
    figures = _figures(
        training.teacher_loss(histories["teacher"], prior_bce) if "teacher" in histories else None,
        training.student_loss(histories["student"]) if "student" in histories else None,
        training.transfer_loss(histories),
        scores.transfer_metrics(run.results) if run.results.labels else None,
    )
    if figures is None:
        return None
    shown = [history for name, history in histories.items() if name in run.results.models]
    return {
        **figures,
        "is_averaged": any(map(has_running_mean, shown)),
        "is_cross_entropy": all(row.bce is None for history in shown for row in history.validation),
        "remark": briefly_trained(run),
    }


def training_heading(run: Run) -> str:
    """Whether models with copied layers are among those that were trained."""
    return "Training and transfer" if any(name in run.results.models for name in training.TRANSFERRED) else "Training"


def trust_heading(run: Run) -> str:
    """What the section shows of calibration and human agreement."""
    parts = [*(["calibration"] if run.results.calibration else []), *(["human agreement"] if run.results.human else [])]
    return capitalized(" and ".join(parts))


def trust_section(run: Run) -> Content | None:
    """Calibration of the models and their share of one annotator's score."""
    results, outcome = run.results, verdict(run.results)
    model = outcome.model
    compared = list(dict.fromkeys([outcome.baseline, model]))
    figures = _figures(
        trust.reliability(results, [model, results.reference]),
        trust.brier_skill(results, compared),
        trust.human_agreement(results, model),
    )
    calibration = calibration_section(results, model)
    if figures is None and calibration is None:
        return None
    return {**(figures or {"figures": []}), "calibration": calibration, "human": human_table(results)}


def ablation_section(run: Run) -> Content | None:
    """Scores with the image or the caption removed or swapped."""
    ablation = run.results.modality_ablation
    figures = None if ablation is None else _figures(trust.modality_ablation(run.results))
    if ablation is None or figures is None:
        return None
    return {
        **figures,
        "finding": ablation_sentence(ablation, run.results.metrics),
        "is_simultaneous": ablation.is_simultaneous,
        "has_captions": ablation.has_captions,
    }


def transfer_section(run: Run) -> Content | None:
    """The transfer study."""
    study, figures = run.results.transfer_study, _figures(transfer.transfer_study(run.results))
    if study is None or figures is None:
        return None
    finding = transfer_sentence(study, run.results.metrics)
    return {**figures, "finding": finding, **_points(study, "teacher", run.results)}


def pseudo_label_section(run: Run) -> Content | None:
    """The study of pseudo-labels."""
    study, figures = run.results.pseudo_label_study, _figures(pseudo_labels.pseudo_label_study(run.results))
    if study is None or figures is None:
        return None
    finding = pseudo_label_sentence(study, run.results.metrics)
    return {**figures, "finding": finding, **_points(study, "base", run.results)}


def emotion_section(run: Run) -> Content | None:
    """Average precision by emotion for the prior, the best baseline, the teacher and the study's model."""
    results, outcome = run.results, verdict(run.results)
    teacher = ["teacher"] if "teacher" in results.models else []
    models = list(dict.fromkeys(["prior", outcome.baseline, *teacher, outcome.model]))
    figures = _figures(scores.emotion_scores(results, models))
    if figures is None:
        return None
    return {**figures, "models": [display_name(name) for name in models], "rows": _emotion_rows(results, models)}


def audit_section(run: Run) -> Content | None:
    """What the selection of pseudo-labels did to the emotions."""
    if run.audit is None:
        return None
    figures = _figures(pseudo_labels.label_shares(run.audit), pseudo_labels.contrast(run.audit))
    photographs = None if run.photographs is None else run.photographs.pairs
    return {"audit": run.audit, "photographs": photographs, **(figures or {})}


def gallery_section(run: Run) -> Content | None:
    """Test pairs with the best and the worst predictions."""
    if run.gallery is None:
        return None
    model = label_of(run.gallery.model) if run.gallery.model else "the model"
    groups = [
        ("Best", f"The test pairs whose emotions {model} ranks best.", run.gallery.best),
        ("Worst", f"The test pairs whose emotions {model} ranks worst.", run.gallery.worst),
    ]
    groups_of_cards = [(name, text, gallery_cards(run.folder, cards)) for name, text, cards in groups if cards]
    return {"model": model, "groups": groups_of_cards} if groups_of_cards else None


def _figures(*drawings: Drawing | None) -> dict[str, Any] | None:
    """The figures that exist; None without any."""
    present = [drawing for drawing in drawings if drawing is not None]
    return {"figures": present} if present else None


def _points(study: TransferStudy | PseudoLabelStudy, reference: str, results: Results) -> Content:
    """A study, each of its points with its score and its difference to the reference, and what the marks mean."""
    primary, info = results.primary, results.metrics[results.primary]
    points: list[tuple[str, Cell, Cell]] = [
        (
            point.model,
            score_cell(study, point.model, primary),
            difference_cell(study, point.model, reference, primary, info),
        )
        for point in study.points
    ]
    return {
        "study": study,
        "points": points,
        "marks": marks_in_words(study),
        "intervals": _intervals_of_points(study, results),
    }


def _intervals_of_points(study: TransferStudy | PseudoLabelStudy, results: Results) -> str:
    """What the intervals of a study's points describe; each point is trained once per seed of both."""
    n_runs = max(1, len(study.seeds)) * len(results.seeds)
    per_fold = "" if results.folds is None else " per fold"
    if n_runs == 1:
        return f"95% intervals, of one training run each{per_fold}"
    return f"95% intervals over {study.intervals_over}, of means over {n_runs} training runs each{per_fold}"


def _emotion_rows(results: Results, models: list[str]) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Each emotion with the average precision of each model and whether it is the highest of them."""
    rows = []
    for label in results.labels:
        values = [results.models[name].get(PER_EMOTION, {}).get(label) for name in models]
        highest = max((value for value in values if value is not None), default=None)
        rows.append((label, [(number(value), value is not None and value == highest) for value in values]))
    return rows


SECTIONS = (
    Section("scores", "Scores", "Scores on held-out pairs", "scores.html", score_section, of_emotions=True),
    Section("ratings", "Ratings", "Ratings on held-out pairs", "ratings.html", rating_section),
    Section("captions", "Captions", "Captions for emotions", "captions.html", caption_section),
    Section("training", "Training", training_heading, "training.html", training_section),
    Section("trust", "Calibration", trust_heading, "trust.html", trust_section, of_emotions=True),
    Section("ablation", "Modality ablation", "Modality ablation", "ablation.html", ablation_section),
    Section("transfer", "Transfer study", "Transfer study", "transfer.html", transfer_section),
    Section(
        "pseudo-labels",
        "Pseudo-label study",
        "Pseudo-label study",
        "pseudo_labels.html",
        pseudo_label_section,
        of_emotions=True,
    ),
    Section("emotions", "Emotions", "Scores by emotion", "emotions.html", emotion_section, of_emotions=True),
    Section("audit", "Audit", "Audit of the pseudo-labels", "audit.html", audit_section),
    Section("gallery", "Gallery", "Gallery", "gallery.html", gallery_section, of_emotions=True),
    Section("data", "Data", "Data", "data.html", provenance.data_section),
    Section("provenance", "Provenance", "Provenance", "provenance.html", provenance.provenance_section),
)
