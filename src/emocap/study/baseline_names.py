"""Which baselines a study has where its configuration leaves it open: without captions none that reads them."""

import logging
from pathlib import Path

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
    """
    if config.baselines.names is not None or any(map(str.strip, Study(config, root).whole("target").captions)):
        return config
    fitted = config.baseline_names[1:]
    names = [name for name in fitted if "caption" not in MODELS[name].reads]
    logger.info("baselines: the target has no captions, so there is no %s", ", ".join(sorted(set(fitted) - set(names))))
    return config.model_copy(update={"baselines": config.baselines.model_copy(update={"names": names})})
