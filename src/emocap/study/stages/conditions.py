"""Which studies have a stage."""

from collections.abc import Callable

from emocap.study.config.study import StudyConfig


def always(config: StudyConfig) -> bool:
    return True


def has_source(config: StudyConfig) -> bool:
    return config.source is not None


def has_photographs(config: StudyConfig) -> bool:
    return config.source is not None and config.pseudo_labels.photographs is not None


def has_labelled_source(config: StudyConfig) -> bool:
    return config.labelled_source is not None


def has_control(name: str) -> Callable[[StudyConfig], bool]:
    return lambda config: config.source is not None and name in config.pseudo_labels.controls


def has_own_teacher_backbone(config: StudyConfig) -> bool:
    return "teacher" in config.own_backbones


def has_own_labelled_backbone(config: StudyConfig) -> bool:
    return "labelled" in config.own_backbones


def has_captioner(config: StudyConfig) -> bool:
    return config.captioner is not None


def has_shuffled_captioner(config: StudyConfig) -> bool:
    return config.captioner is not None and "shuffled" in config.captioner.controls
