"""The registry of extractors: their names, and how one is built from its settings."""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from emocap.errors import EmocapError
from emocap.regions.extractors.base import Extractor

# Modules are imported only when an extractor is built: most of them need torch.
EXTRACTORS = {
    "grid": "emocap.regions.extractors.grid:GridExtractor",
    "frcnn-vg": "emocap.regions.extractors.frcnn_vg:VisualGenomeExtractor",
    "timm": "emocap.regions.extractors.timm_backbone:TimmExtractor",
    "torchvision": "emocap.regions.extractors.torchvision_detector:TorchvisionExtractor",
    "vit": "emocap.regions.extractors.vit:VitExtractor",
}

# Chosen by `automatic.resolve_extractor`, from these.
AUTO = "auto"
AUTO_CHOICES = ("frcnn-vg", "timm", "grid")


def extractor_and_settings(name: str, settings: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
    """Split "NAME:WEIGHTS"; the weights become a setting.

    Raises:
        EmocapError: an unknown name, weights given twice, or settings for "auto".

    >>> extractor_and_settings("vit:owner/name", {"rows": 6})
    ('vit', {'rows': 6, 'weights': 'owner/name'})
    """
    name, colon, weights = name.partition(":")
    settings = dict(settings or {})
    if name not in EXTRACTORS and name != AUTO:
        raise EmocapError(f"extractor is {name!r}, expected one of {', '.join([*EXTRACTORS, AUTO])}")
    if colon and "weights" in settings:
        raise EmocapError(f"extractor {name}:{weights}: its settings contain weights too; give them once")
    settings |= {"weights": weights} if colon else {}
    if "weights" in settings and (not isinstance(settings["weights"], str) or not settings["weights"]):
        raise EmocapError(f"extractor {name}: weights is {settings['weights']!r:.80}, expected a folder, file or name")
    if name == AUTO and settings:
        raise EmocapError(
            f"extractor auto takes no settings, but {next(iter(settings))} is given; name the extractor that it is for"
        )
    return name, settings


def extractor_modules(name: str) -> list[str]:
    """The modules of the extractor "NAME" or "NAME:WEIGHTS", of "auto" those of all that it may be; none is imported.

    Raises:
        EmocapError: an unknown name.

    >>> extractor_modules("vit:owner/name")
    ['emocap.regions.extractors.vit']
    """
    name, _ = extractor_and_settings(name)
    return [EXTRACTORS[choice].partition(":")[0] for choice in (AUTO_CHOICES if name == AUTO else (name,))]


def build_extractor(name: str, settings: Mapping[str, Any] | None = None) -> Extractor:
    """The extractor of this name, with its defaults for omitted settings; "NAME:WEIGHTS" sets `weights` too.

    Raises:
        EmocapError: an unknown name, "auto", which `automatic.resolve_extractor` resolves, a setting that is unknown,
            missing or out of range, or unavailable weights.
    """
    name, settings = extractor_and_settings(name, settings)
    if name == AUTO:
        raise EmocapError("extractor auto stands for another one; resolve it first (resolve_extractor)")
    module, _, attribute = EXTRACTORS[name].partition(":")
    extractor_class: Callable[..., Extractor] = getattr(import_module(module), attribute)
    parameters = inspect.signature(extractor_class).parameters
    unknown = [key for key in settings if key not in parameters]
    if unknown:
        raise EmocapError(f"extractor {name}: unknown setting {unknown[0]!r}, expected some of {', '.join(parameters)}")
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in settings:
            raise EmocapError(f"extractor {name}: setting {key!r} is missing")
    return extractor_class(**settings)
