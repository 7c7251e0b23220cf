"""Which baselines a study has where its configuration leaves it open: without captions none that reads them."""

import logging
from pathlib import Path

from emocap.errors import EmocapError
from emocap.study.config.study import StudyConfig
from emocap.study.models import MODELS
from emocap.study.unit import Study

logger = logging.getLogger("emocap")


def with_baselines(config: StudyConfig, root: Path) -> StudyConfig:
    """The configuration with `baselines.names` decided, from the target that `prepare` wrote.

    Args:
        config: of the study.
        root: its run directory.

    Returns:
        The same configuration where it names baselines, or the target has a caption.

    Raises:
        EmocapError: the target has no captions, but a model of captions is asked for; or labelled pairs have neither
            captions nor features.
    """
    study = Study(config, root)
    for domain in ("target", "labelled_source") if config.features is None else ():
        if domain in config.corpora and not study.has_captions(domain):
            raise EmocapError(
                f"{domain}: has no captions, and features is null, so nothing of it is read; set features"
            )
    if study.has_captions("target"):
        return config
    if config.evaluation.text_alone:
        raise EmocapError("evaluation.text_alone is true, but the target has no captions; leave it out")
    if config.baselines.names is not None:
        return config
    fitted = config.baseline_names[1:]
    names = [name for name in fitted if "caption" not in MODELS[name].reads]
    left_out = sorted(set(fitted) - set(names))
    for key, used in (("reference", [config.evaluation.reference]), ("ensemble", config.evaluation.ensemble or [])):
        if unknown := [name for name in used if name in left_out]:
            raise EmocapError(
                f"evaluation.{key} names {unknown[0]!r}, which reads captions, but the target has none; name another"
            )
    logger.info("baselines: the target has no captions, so there is no %s", ", ".join(left_out))
    return config.model_copy(update={"baselines": config.baselines.model_copy(update={"names": names})})
