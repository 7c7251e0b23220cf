"""Which baselines a study has where its configuration leaves it open.

Without captions none that reads them; without outputs in common none that learns the labelled source.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from emocap.errors import EmocapError
from emocap.study.config.study import StudyConfig
from emocap.study.models import MODELS
from emocap.study.unit import Study

logger = logging.getLogger("emocap")


def with_baselines(config: StudyConfig, root: Path) -> StudyConfig:
    """The configuration with `baselines.names` decided, from the corpora that `prepare` wrote.

    Args:
        config: of the study.
        root: its run directory.

    Returns:
        The same configuration where it names baselines, or all that it leaves open can be fitted.

    Raises:
        EmocapError: the target has no captions, but a model of captions is asked for; labelled pairs have neither
            captions nor features; or a baseline that learns the labelled source is asked for, which shares no output.
    """
    study = Study(config, root)
    for domain in ("target", "labelled_source") if config.features is None else ():
        if domain in config.corpora and not study.has_captions(domain):
            raise EmocapError(
                f"{domain}: has no captions, and features is null, so nothing of it is read; set features"
            )
    has_captions, is_open = study.has_captions("target"), config.baselines.names is None
    if config.evaluation.text_alone and not has_captions:
        raise EmocapError("evaluation.text_alone is true, but the target has no captions; leave it out")
    fitted = config.baseline_names[1:]
    if is_open and not has_captions:
        of_captions = [name for name in fitted if "caption" in MODELS[name].reads]
        config = _without(
            config, of_captions, "the target has no captions", "which reads captions, but the target has none"
        )
    of_source = [name for name in fitted if MODELS[name].corpus is not None]
    if of_source and not _shares_outputs(study):
        why = "the target and the labelled source have no emotion or rating of the same name"
        if not is_open:
            raise EmocapError(f"baselines.names names {of_source[0]!r}, but {why}; leave it out")
        config = _without(config, of_source, why, f"but {why}")
    return config


def _without(config: StudyConfig, names: Sequence[str], why: str, clause: str) -> StudyConfig:
    """The configuration without some baselines; the log says which and why.

    Raises:
        EmocapError: the evaluation names one of them; `clause` says there why it cannot.
    """
    for key, used in (("reference", [config.evaluation.reference]), ("ensemble", config.evaluation.ensemble or [])):
        if unknown := [name for name in used if name in names]:
            raise EmocapError(f"evaluation.{key} names {unknown[0]!r}, {clause}; name another")
    logger.info("baselines: %s, so there is no %s", why, ", ".join(sorted(names)))
    kept = [name for name in config.baseline_names[1:] if name not in names]
    return config.model_copy(update={"baselines": config.baselines.model_copy(update={"names": kept})})


def _shares_outputs(study: Study) -> bool:
    """Whether the labelled source has an emotion or a rating of the target's, by name."""
    emotions = set(study.vocabulary.labels) & set(study.labelled_vocabulary.labels)
    return bool(emotions or set(study.ratings.names) & set(study.labelled_ratings.names))
