"""Settings that the data or the backbone bound, checked before any stage that takes long.

They are checked in every call: most of them do not make `prepare` run again.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emocap.corpora.groups import Groups
from emocap.corpora.splits import fold_sizes
from emocap.errors import EmocapError
from emocap.study.artifacts import backbone_file
from emocap.study.unit import Study

if TYPE_CHECKING:
    from emocap.study.config.study import StudyConfig


def require_fitting_settings(config: "StudyConfig", root: Path) -> None:
    """Refuse settings beyond what `prepare` found.

    Args:
        config: of the study, its folds decided.
        root: its run directory.

    Raises:
        EmocapError: more pseudo-labels than emotions, more layers than the backbone's, more folds than images, or
            styles that the source lacks.
    """
    study = Study(config, root)
    require_p(config, len(study.vocabulary))
    for role in (None, *config.own_backbones):
        if backbone_file(root, role).is_file():
            require_layers(config, study.backbone("name", role), study.backbone("n_layers", role), role)
    if config.captioner is not None and config.captioner.styles:
        require_styles(study.whole("source").styles, study.vocabulary.labels)
    if config.folds is not None:
        groups = Groups.of(study.whole("target"), study.same_content, config.splits.stock_captions)
        fold_sizes(len(groups.keys), config.folds, config.splits.validation)


def require_p(config: "StudyConfig", n_emotions: int) -> None:
    """Refuse more pseudo-labels per pair than there are emotions, and fewer where photographs need all."""
    study = config.pseudo_labels.study
    most = max([config.pseudo_labels.p, *(study.p if study is not None else [])])
    if config.source is not None and most > n_emotions:
        raise EmocapError(f"pseudo_labels.p is {most}, expected 1 to {n_emotions}, the number of emotions")
    if config.pseudo_labels.photographs is not None and config.pseudo_labels.p < n_emotions:
        raise EmocapError(
            f"pseudo_labels.p is {config.pseudo_labels.p}, but pseudo_labels.photographs needs the teacher's "
            f"probabilities of all {n_emotions} emotions; set p: {n_emotions}, or leave photographs out"
        )


def require_layers(config: "StudyConfig", backbone: str, n_layers: int, role: str | None = None) -> None:
    """Refuse to copy or use more layers than a backbone has.

    Args:
        config: of the study.
        backbone: its name, for messages.
        n_layers: that it has.
        role: "teacher" or "labelled" for one of their own, None for that of `model.backbone`.
    """
    copies, captioner = config.transfer, config.captioner
    is_base = role != "teacher"  # of AnB and AnB+
    for key, numbers in (
        ("transfer.n_transferred", [copies.n_transferred or 0] if is_base else []),
        ("transfer.layers", copies.layers or [] if is_base or copies.controls else []),
        ("captioner.decoder_layers", [(captioner and captioner.decoder_layers) or 0] if role is None else []),
    ):
        if max(numbers, default=0) > n_layers:
            raise EmocapError(f"{key} is {max(numbers)}, but {backbone} has {n_layers} layers")


def require_styles(styles: Sequence[str | None], emotions: Collection[str] = ()) -> None:
    """Refuse captions for styles where no caption has one, or where a style has the name of an emotion."""
    names = sorted({style for style in styles if style is not None})
    if not names:
        raise EmocapError(
            "captioner.styles is true, but no caption of the source has a style; name its column with "
            "source.columns.style, or leave captioner.styles out"
        )
    if both := [name for name in names if name in emotions]:
        raise EmocapError(
            f"captioner.styles: {both[0]!r} is a style of the source and an emotion of the target; rename one"
        )
