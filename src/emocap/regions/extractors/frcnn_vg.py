"""The frcnn-vg extractor: the published Visual Genome detector, with its original checkpoint and `config.yaml`."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from emocap.corpora.fetch import Release, fetch
from emocap.devices import best_device
from emocap.errors import EmocapError
from emocap.files import read_text, sha256_of
from emocap.regions.extractors.base import OBJECT, Names, Regions, integer_setting
from emocap.regions.extractors.faster_rcnn import FasterRCNN, scaled_image, scaled_size
from emocap.regions.extractors.frcnn_config import PUBLISHED, read_config
from emocap.regions.extractors.network import inference_context, resolve_precision, type_name
from emocap.weights import WEIGHT_FILES, hub_is_offline, read_weights, snapshot, weights_file

logger = logging.getLogger("emocap")

CONFIG = "config.yaml"
VOCABULARIES = ("objects_vocab.txt", "attributes_vocab.txt")
VOCABULARY_URL = (
    "https://raw.githubusercontent.com/airsplay/py-bottom-up-attention/master/demo/data/genome/1600-400-20/"
)


class VisualGenomeExtractor:
    """The most probable boxes of the Visual Genome detector, with the features of its res5.

    Args:
        weights: a name on the hub or a folder with the weights and `config.yaml`, and `objects_vocab.txt` and
            `attributes_vocab.txt` for the class names, which are downloaded for the published weights.
        min_boxes, max_boxes: regions per image, fewer than `min_boxes` if there are no more; 36 and 36 as in the study,
            10 and 100 for a variable number. None uses the values of `config.yaml`.
        precision: "float32", "float16", "bfloat16", or "auto": float16 on a GPU, else float32.

    Raises:
        EmocapError: weights that are unavailable, damaged or inconsistent with their configuration, or a setting out of
            range.
    """

    name = "frcnn-vg"
    at_least = None
    in_processes = False

    def __init__(
        self,
        weights: str = PUBLISHED,
        min_boxes: int | None = None,
        max_boxes: int | None = None,
        precision: str = "auto",
    ) -> None:
        folder = Path(weights)
        if not folder.is_dir():
            folder = snapshot(weights, [CONFIG, *WEIGHT_FILES, *VOCABULARIES])
        config = read_config(folder / CONFIG)
        least, most = config.min_boxes, config.max_boxes
        if min_boxes is not None:
            least = integer_setting(self.name, "min_boxes", min_boxes, 1, config.n_proposals)
        if max_boxes is not None:
            most = integer_setting(self.name, "max_boxes", max_boxes, 1, config.n_proposals)
        if least > most:
            raise EmocapError(f"extractor {self.name}: min_boxes is {least}, more than max_boxes, {most}")
        resolve_precision(self.name, precision)  # before the weights are read
        network = FasterRCNN(replace(config, min_boxes=least, max_boxes=most))
        load_detector(network, folder)
        self._set_network(network, precision)
        self._folder, self._published = folder, weights == PUBLISHED
        self.settings["weights"] = str(folder.resolve()) if Path(weights).is_dir() else weights
        relevant = {key: value for key, value in asdict(config).items() if key not in ("min_boxes", "max_boxes")}
        identity = json.dumps([sha256_of(weights_file(folder)), relevant], sort_keys=True)
        self.weights_hash = hashlib.sha256(identity.encode()).hexdigest()

    @classmethod
    def of_network(cls, network: FasterRCNN, precision: str = "auto") -> "VisualGenomeExtractor":
        """An extractor with a network that was not loaded from a checkpoint; its classes have no names."""
        extractor = cls.__new__(cls)
        extractor._set_network(network, precision)
        extractor.names, extractor.weights_hash = Names(), ""
        return extractor

    def _set_network(self, network: FasterRCNN, precision: str) -> None:
        self._dtype, self._device = resolve_precision(self.name, precision), best_device()
        self.computed_in = type_name(self._dtype)
        self.network = network.to(self._device).speed_up(self._dtype)
        self.config = config = network.config
        self.settings: dict[str, Any] = {
            "min_boxes": config.min_boxes,
            "max_boxes": config.max_boxes,
            "precision": precision,
        }
        self.dim = config.res2_channels * 8
        self.batch_size = 16 if self._device.type == "cuda" else 1

    @cached_property
    def names(self) -> Names:
        """Names of the 1,600 objects and 400 attributes; empty, with a warning, if they are unavailable."""
        try:
            folder = self._folder
            if not (folder / VOCABULARIES[0]).is_file() and self._published:
                folder = _fetch_vocabularies()
            objects, attributes = (read_names(folder / name) for name in VOCABULARIES)
        except EmocapError as error:
            logger.warning("class names are unavailable: %s", error)
            return Names()
        for vocabulary, expected, name in zip(
            (objects, attributes), (self.config.n_objects, self.config.n_attributes), VOCABULARIES, strict=True
        ):
            if len(vocabulary) != expected:
                raise EmocapError(f"{folder / name}: has {len(vocabulary)} names, the detector has {expected} classes")
        return Names(objects, attributes)

    def prepare(self, image: Image.Image) -> np.ndarray:
        """(H, W, 3) uint8."""
        return np.array(image)

    def describe(self, prepared: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> list[Regions]:
        """Regions with objects, most probable first."""
        with inference_context(self._device, self._dtype):
            images = [scaled_image(torch.from_numpy(pixels).to(self._device), self.config) for pixels in prepared]
            batch = self.network(images)
        regions = []
        for detections, pixels, (width, height) in zip(batch, prepared, sizes, strict=True):
            scaled_height, scaled_width = scaled_size(pixels.shape[0], pixels.shape[1], self.config)
            scale = np.array([width / scaled_width, height / scaled_height] * 2, dtype=np.float32)
            features, boxes, *labels = (tensor.float().cpu().numpy() for tensor in detections)
            objects = np.empty(len(features), OBJECT)
            for key, values in zip(
                ("object", "object_probability", "attribute", "attribute_probability"), labels, strict=True
            ):
                objects[key] = values
            regions.append(Regions(features, boxes * scale, (width, height), objects))
        return regions


def load_detector(network: FasterRCNN, folder: Path) -> None:
    """Copy a checkpoint's tensors into the network, and require that none is missing or unused.

    Raises:
        EmocapError: a tensor is missing, unexpected, or has a different shape than the configuration gives it.
    """
    path = weights_file(folder)
    tensors: Mapping[str, Any] = read_weights(folder)
    own = network.state_dict()
    if not isinstance(tensors, Mapping) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise EmocapError(f"{path}: holds more than named tensors; give the detector's original checkpoint")
    missing = [
        n for n in own if n not in tensors and not n.endswith(".num_batches_tracked") and "cell_anchors" not in n
    ]
    unexpected = [name for name in tensors if name not in own]
    for what, names in (("missing", missing), ("unexpected", unexpected)):
        if names:
            raise EmocapError(
                f"{path}: does not match {CONFIG}: {len(names)} tensors {what} "
                f"({', '.join(map(str, names[:3]))}{' ...' if len(names) > 3 else ''})"
            )
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            raise EmocapError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, but {tuple(own[name].shape)} by {CONFIG}; "
                "give the configuration of these weights"
            )
        if "cell_anchors" in name and not torch.allclose(tensor.float(), own[name], atol=1e-3):
            raise EmocapError(f"{path}: {name} differs from the anchors that {CONFIG} describes")
        if not torch.isfinite(tensor).all():
            raise EmocapError(f"{path}: {name} is not finite; download the weights again")
    network.load_state_dict(dict(tensors), strict=False)


def read_names(path: Path) -> tuple[str, ...]:
    """Class names, one per line; the first of several that are separated by commas."""
    lines = read_text(path).rstrip("\n").split("\n")
    return tuple(line.split(",")[0].strip().lower() for line in lines)


def _fetch_vocabularies() -> Path:
    """The folder of the published vocabularies, which are downloaded once."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "emocap" / "visual-genome"
    for name in VOCABULARIES:
        if not (folder / name).is_file():
            if hub_is_offline():
                raise EmocapError(f"{folder / name}: no such file, and HF_HUB_OFFLINE prevents its download")
            fetch(Release(VOCABULARY_URL + name), folder / name)
    return folder
