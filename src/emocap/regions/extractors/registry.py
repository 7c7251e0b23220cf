"""The extractors by name, and how one is built from its settings."""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from emocap.errors import EmocapError
from emocap.regions.extractors.base import Extractor

EXTRACTORS = {
    "grid": "emocap.regions.extractors.grid:GridExtractor",
    "frcnn-vg": "emocap.regions.extractors.frcnn_vg:VisualGenomeExtractor",
    "torchvision": "emocap.regions.extractors.torchvision_detector:TorchvisionExtractor",
    "vit": "emocap.regions.extractors.vit:VitExtractor",
}


def extractor_and_settings(name: str, settings: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
    """Take "NAME:WEIGHTS" apart; the weights become a setting.

    Raises:
        EmocapError: an unknown name, or weights given twice.

    >>> extractor_and_settings("vit:owner/name", {"rows": 6})
    ('vit', {'rows': 6, 'weights': 'owner/name'})
    """
    name, colon, weights = name.partition(":")
    settings = dict(settings or {})
    if name not in EXTRACTORS:
        raise EmocapError(f"extractor is {name!r}, expected one of {', '.join(EXTRACTORS)}")
    if colon and "weights" in settings:
        raise EmocapError(f"extractor {name}:{weights}: its settings name weights too; give them once")
    settings |= {"weights": weights} if colon else {}
    if "weights" in settings and (not isinstance(settings["weights"], str) or not settings["weights"]):
        raise EmocapError(f"extractor {name}: weights is {settings['weights']!r:.80}, expected a folder, file or name")
    return name, settings


def build_extractor(name: str, settings: Mapping[str, Any] | None = None) -> Extractor:
    """The extractor of this name; settings left out have its defaults. "NAME:WEIGHTS" gives the setting `weights` too.

    Raises:
        EmocapError: an unknown name, a setting that is unknown, missing or out of range, or weights that are not to be
            had.
    """
    name, settings = extractor_and_settings(name, settings)
    module, _, attribute = EXTRACTORS[name].partition(":")
    maker: Callable[..., Extractor] = getattr(import_module(module), attribute)
    parameters = inspect.signature(maker).parameters
    unknown = [key for key in settings if key not in parameters]
    if unknown:
        raise EmocapError(f"extractor {name}: unknown setting {unknown[0]!r}, expected some of {', '.join(parameters)}")
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in settings:
            raise EmocapError(f"extractor {name}: setting {key!r} is missing")
    return maker(**settings)
