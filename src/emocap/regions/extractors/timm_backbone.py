"""The timm extractor: the last feature map, or tokens, of a backbone of timm (Wightman 2019), pooled on grids.

Left out: maps of several stages, backbones that take images of any shape as a list of patches (NaFlex), and the names
of regions where the classifier reads a class token or attends to all tokens, since it was not trained on means.
"""

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import adaptive_avg_pool2d

from emocap.devices import best_device
from emocap.errors import EmocapError
from emocap.regions.extractors.base import OBJECT, Names, Regions, cell_boxes, integer_setting
from emocap.regions.extractors.folding import fold_batch_norms
from emocap.regions.extractors.network import inference_context, resolve_precision, type_name
from emocap.regions.extractors.timm_weights import import_timm, load_backbone

logger = logging.getLogger("emocap")

MAX_CELLS_PER_SIDE = 1024
# Poolings of a class token, or by attention over all tokens.
_OTHER_POOLINGS = {"token", "map"}


class TimmExtractor:
    """Describes cells of grids over the image, row by row, and then the whole image, by means of the backbone's output.

    The whole image is resized to the backbone's input size regardless of its aspect ratio, and nothing is cropped, so
    that a cell's box covers exactly its part of the map. Interpolation, mean and standard deviation are the backbone's
    own. Class and register tokens are left out. If rows or columns do not divide the backbone's map, adjacent cells
    share a row or column of it (`torch.nn.functional.adaptive_avg_pool2d`).

    If the backbone has a classifier of classes with known names, it is applied to each region's mean: for the whole
    image this is the backbone's own prediction.

    Args:
        weights: `tf_efficientnet_lite0` or `tf_efficientnet_lite2`, whose weights are in a package of the extra
            `offline`; another name in timm or a name on the hub (owner/name); or a folder with `config.json` and
            `model.safetensors`, as timm saves them.
        rows, columns: the first grid; at most the backbone's own.
        whole_image: whether the whole image is one more region, after the cells; 5 x 7 cells and it are 36 regions.
        scales: number of grids, each with half the rows and columns of the one before, rounded up; the last must have
            more than one cell.
        power: exponent of the absolute values of the backbone's output before they are averaged, their signs kept
            (power normalisation, Perronnin et al. 2010); 0.5 keeps a few large values from outweighing all others, 1
            changes nothing. Names do not depend on it.
        precision: "float32", "float16", "bfloat16", or "auto": float16 on a GPU, else float32.

    Raises:
        EmocapError: a setting is out of range, timm is not installed, the weights are unavailable or damaged, or the
            backbone's output is not a grid, or a coarser one than rows x columns.
    """

    name = "timm"
    in_processes = False

    def __init__(
        self,
        weights: str,
        rows: int = 5,
        columns: int = 7,
        whole_image: bool = True,
        scales: int = 1,
        power: float = 1.0,
        precision: str = "auto",
    ) -> None:
        self.rows = integer_setting(self.name, "rows", rows, 1, MAX_CELLS_PER_SIDE)
        self.columns = integer_setting(self.name, "columns", columns, 1, MAX_CELLS_PER_SIDE)
        self.scales = integer_setting(self.name, "scales", scales, 1, max(1, (max(rows, columns) - 1).bit_length()))
        if not isinstance(whole_image, bool):
            raise EmocapError(f"extractor timm: whole_image is {whole_image!r}, expected true or false")
        if isinstance(power, bool) or not isinstance(power, int | float) or not 0 < power <= 1:
            raise EmocapError(f"extractor timm: power is {power!r}, expected a number above 0 and at most 1")
        self.power = float(power)
        if not isinstance(weights, str) or not weights:
            raise EmocapError(f"extractor timm: weights is {weights!r}, expected a folder or a name")
        self._dtype = resolve_precision(self.name, precision)
        self.whole_image, self.precision = whole_image, precision
        self.weights = str(Path(weights).resolve()) if Path(weights).is_dir() else weights
        network, digest = load_backbone(self.weights)
        self._network = network.to(memory_format=torch.channels_last)
        inputs = import_timm().data.resolve_data_config({}, model=network)
        channels, *self._size = inputs["input_size"]
        if channels != 3:
            raise EmocapError(f"{weights}: takes images of {channels} channels; give a backbone for RGB images")
        self._mean, self._std = inputs["mean"], inputs["std"]
        self._resample = getattr(Image.Resampling, inputs["interpolation"].upper(), Image.Resampling.BICUBIC)
        feature_map = self._probe()
        if not feature_map.isfinite().all():
            raise EmocapError(f"{weights}: its output contains NaN or infinity; give undamaged weights and their std")
        self._fold(feature_map)
        self.dim = feature_map.shape[1]
        for side, value, maximum in zip(("rows", "columns"), (rows, columns), feature_map.shape[2:], strict=True):
            if value > maximum:
                raise EmocapError(
                    f"extractor timm: {side} is {value}, but {weights} has a map of {feature_map.shape[2]} rows x "
                    f"{feature_map.shape[3]} columns; set no more than that"
                )
        self.names = self._class_names()
        preprocessing = [list(self._size), list(self._mean), list(self._std), int(self._resample)]
        content = [digest, network.pretrained_cfg["architecture"], preprocessing]
        self.weights_hash = hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def computed_in(self) -> str:
        return type_name(self._dtype)

    @property
    def settings(self) -> dict[str, Any]:
        settings = {
            "weights": self.weights,
            "rows": self.rows,
            "columns": self.columns,
            "whole_image": self.whole_image,
            "scales": self.scales,
            "precision": self.precision,
        }
        return settings if self.power == 1 else settings | {"power": self.power}  # older stores do not name it

    @property
    def at_least(self) -> int:
        return max(self._size)

    @property
    def batch_size(self) -> int:
        return 64 if best_device().type == "cuda" else 4  # their activations fit into the processor's cache

    def prepare(self, image: Image.Image) -> np.ndarray:
        """The whole image at the backbone's input size, (H, W, 3) uint8.

        Args:
            image: RGB, upright.
        """
        height, width = self._size
        return np.array(image.resize((width, height), self._resample))

    def describe(self, prepared: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> list[Regions]:
        """The cells of each grid row by row, then the whole image; up to rounding independent of the batch.

        Args:
            prepared: result of `prepare` for each image.
            sizes: width and height in pixels of each upright image at full size.
        """
        grids = self._grids()
        device = best_device()
        self._network.to(device)
        with inference_context(device, self._dtype):
            feature_map = self._feature_map(torch.from_numpy(np.stack(prepared)).to(device))
            features = _pooled(feature_map, grids)
            objects = self._objects(features) if self.names is not None else [None] * len(prepared)
            if self.power != 1:
                features = _pooled(feature_map.sign() * feature_map.abs().pow(self.power), grids)
        return [
            Regions(of_image, np.concatenate([cell_boxes(*grid, size) for grid in grids]), size, classes)
            for of_image, size, classes in zip(features.cpu().numpy(), sizes, objects, strict=True)
        ]

    def class_logits(self, features: np.ndarray, batch_size: int = 1024) -> np.ndarray:
        """(M, C) float32 outputs of the classifier for means of the backbone's output, on the CPU.

        Args:
            features: (M, dim), as `describe` gives them with `power: 1`; for the whole image this is the backbone's
                own prediction.

        Raises:
            EmocapError: the backbone has no classifier that takes means.
        """
        if self.names is None:
            raise EmocapError(f"{self.weights}: has no classifier of classes with known names that takes means")
        self._network.to("cpu")
        with torch.inference_mode():
            parts = [
                self._class_logits(torch.from_numpy(features[start : start + batch_size].astype(np.float32)))
                for start in range(0, len(features), batch_size)
            ]
        return torch.cat(parts).numpy() if parts else np.zeros((0, len(self.names.objects)), np.float32)

    def _grids(self) -> list[tuple[int, int]]:
        """Rows and columns of each grid; the whole image is the last one."""
        grids = [(-(-self.rows // 2**scale), -(-self.columns // 2**scale)) for scale in range(self.scales)]
        return [*grids, (1, 1)] if self.whole_image else grids

    def _feature_map(self, pixels: torch.Tensor) -> torch.Tensor:
        """(N, H, W, 3) uint8 -> (N, dim, h, w) float32."""
        # A view of (N, H, W, C) as (N, C, H, W) has the memory layout channels_last.
        images = pixels.permute(0, 3, 1, 2).float().div_(255)
        mean, std = (images.new_tensor(values).view(1, 3, 1, 1) for values in (self._mean, self._std))
        output = self._network.forward_features(images.sub_(mean).div_(std)).float()
        self._gives_tokens = output.ndim == 3
        return _as_map(output, self._network, self._size)

    def _objects(self, features: torch.Tensor) -> list[np.ndarray]:
        """The most probable class of each region; features are (N, R, dim)."""
        n_images, n_regions, dim = features.shape
        logits = self._class_logits(features.reshape(n_images * n_regions, dim))
        probability, label = logits.softmax(-1).max(-1)
        objects = np.zeros((n_images, n_regions), OBJECT)
        objects["object"] = label.view(n_images, n_regions).cpu().numpy()
        objects["object_probability"] = probability.view(n_images, n_regions).cpu().numpy()
        objects["attribute"] = -1
        return list(objects)

    def _fold(self, feature_map: torch.Tensor) -> None:
        """Fold batch norms if the map of noise stays the same up to rounding.

        Args:
            feature_map: result of `_probe` before.
        """
        original = self._network
        self._network = fold_batch_norms(original).to(memory_format=torch.channels_last)
        tolerance = 1e-4 * float(feature_map.abs().max())
        if not torch.allclose(self._probe(), feature_map, rtol=0, atol=tolerance):
            self._network = original

    def _class_logits(self, means: torch.Tensor) -> torch.Tensor:
        """The classifier's outputs (M, classes) float32 for means of the backbone's output, (M, dim)."""
        if self._gives_tokens:
            # The classifier's own mean leaves the prefix tokens out.
            n_prefix = getattr(self._network, "num_prefix_tokens", 0)
            output = means[:, None].expand(-1, n_prefix + 1, -1)
        else:
            output = means[:, None, None] if _is_channels_last(self._network) else means[:, :, None, None]
        return self._network.forward_head(output).float()

    def _class_names(self) -> Names | None:
        """The names of the classifier's classes, None without a classifier that can be applied to regions."""
        names = class_names(self._network)
        if names is None or getattr(self._network, "global_pool", None) in _OTHER_POOLINGS:
            return None
        try:
            with torch.inference_mode():
                logits = self._class_logits(torch.zeros(1, self.dim))
            takes_means = logits.shape == (1, len(names.objects))
        except (RuntimeError, IndexError, TypeError, ValueError):
            takes_means = False
        if not takes_means:
            logger.info("extractor timm: regions of %s have no names: its classifier takes no means", self.weights)
            return None
        return names

    def _probe(self) -> torch.Tensor:
        """The feature map of one image of noise."""
        noise = torch.randint(
            0, 256, (1, *self._size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
        )
        try:
            with torch.inference_mode():
                feature_map = self._feature_map(noise)
            if feature_map.ndim != 4:
                raise ValueError(f"its output has shape {tuple(feature_map.shape)}")
            return feature_map
        except Exception as error:  # unsupported backbones raise many types
            reason = (str(error).strip().splitlines() or [""])[0]
            raise EmocapError(
                f"{self.weights}: gives no grid of features for one image of its input size "
                f"({type(error).__name__}: {reason:.200}); give a different backbone"
            ) from error


def _pooled(feature_map: torch.Tensor, grids: Sequence[tuple[int, int]]) -> torch.Tensor:
    """(N, R, dim): the means of the cells of each grid, from the map (N, dim, h, w)."""
    cells = torch.cat([adaptive_avg_pool2d(feature_map, grid).flatten(2) for grid in grids], dim=2)
    return cells.transpose(1, 2).contiguous()


def _as_map(output: torch.Tensor, network: Any, size: Sequence[int]) -> torch.Tensor:
    """A backbone's output as (N, dim, h, w): a map with channels first or last, or tokens after prefix tokens.

    Args:
        size: height and width of the input.

    Raises:
        ValueError: the tokens do not form a grid of the input's shape.
    """
    if output.ndim == 4:
        return output.permute(0, 3, 1, 2) if _is_channels_last(network) else output
    tokens = output[:, getattr(network, "num_prefix_tokens", 0) :]
    height, width = size
    rows = math.isqrt(tokens.shape[1] * height // width)
    if rows == 0 or tokens.shape[1] % rows:
        raise ValueError(f"{tokens.shape[1]} tokens are no grid")
    return tokens.transpose(1, 2).unflatten(2, (rows, tokens.shape[1] // rows))


def _is_channels_last(network: Any) -> bool:
    return str(getattr(network, "output_fmt", "")).endswith("NHWC")


def class_names(network: Any) -> Names | None:
    """The names of a classifier's classes: its own or those of ImageNet, the first synonym; None if unknown."""
    data = import_timm().data
    config, n_classes = network.pretrained_cfg, network.num_classes
    labels, descriptions = config.get("label_names") or (), config.get("label_descriptions") or {}
    if not n_classes:
        return None
    if len(labels) == n_classes and not isinstance(labels, dict):
        by_label = descriptions if isinstance(descriptions, dict) else {}
        described = [str(by_label.get(label, label)) for label in labels]
    else:
        subset = data.infer_imagenet_subset(network)
        if subset is None:
            return None
        described = data.ImageNetInfo(subset).label_descriptions()
    return Names(tuple(description.split(",")[0].strip() for description in described))
