"""The ViT extractor: patch tokens of a transformers vision backbone (ViT, CLIP, DINOv2, ConvNeXT, ...) on a grid.

Left out: backbones that take images of any shape as a list of patches (NaFlex of SigLIP2), and video backbones.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import adaptive_avg_pool2d
from transformers import AutoConfig, AutoImageProcessor, AutoModel
from transformers.utils import logging as transformers_logging

from emocap.devices import best_device
from emocap.errors import EmocapError
from emocap.files import read_json, sha256_of
from emocap.regions.extractors.base import Regions, cell_boxes, integer_setting
from emocap.regions.extractors.network import inference_context, resolve_precision, type_name
from emocap.weights import snapshot

MAX_CELLS_PER_SIDE = 1024
MAX_PREFIX_TOKENS = 32
SAFETENSORS, PICKLED = "model*.safetensors", "pytorch_model*.bin"
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
WEIGHT_FILES = tuple(
    f"{name}{index}" for name in ("model.safetensors", "pytorch_model.bin") for index in ("", ".index.json")
)
# Fields of config.json that do not affect the features.
_IGNORED_CONFIG = {"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version"}
# Fields of the image processor that affect the features: its resizing and cropping are not used.
_PROCESSOR_FIELDS = ("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")


class VitExtractor:
    """Describes rows x columns cells, row by row, each by the mean of the backbone's last hidden states there.

    The whole image is resized to the backbone's input size regardless of its aspect ratio, and nothing is cropped, so
    that a cell's box covers exactly its patches. If the input size is not a multiple of the patch size (SigLIP: 384 and
    14), the image fills the complete patches only. Rescaling and normalisation are those of the backbone's image
    processor. Class and register tokens are left out. Of models with two towers (CLIP, SigLIP) the vision tower is
    used, without its projection. If rows or columns do not divide the backbone's grid, adjacent cells share a row or
    column of patches (`torch.nn.functional.adaptive_avg_pool2d`).

    Args:
        weights: a folder with config.json, image processor and weights, or a name on the hub (owner/name).
        rows, columns: the grid; at most the backbone's own.
        precision: "float32", "float16", "bfloat16", or "auto": float16 on a GPU, else float32.

    Raises:
        EmocapError: a setting is out of range, the weights are unavailable or damaged, the backbone does not take
            images, its tokens do not form a grid, or its grid is coarser than rows x columns.
    """

    name = "vit"
    in_processes = False
    names = None

    def __init__(self, weights: str, rows: int = 6, columns: int = 6, precision: str = "auto") -> None:
        self.rows = integer_setting("vit", "rows", rows, 1, MAX_CELLS_PER_SIDE)
        self.columns = integer_setting("vit", "columns", columns, 1, MAX_CELLS_PER_SIDE)
        self._dtype = resolve_precision("vit", precision)
        if not isinstance(weights, str) or not weights:
            raise EmocapError(f"extractor vit: weights is {weights!r}, expected a folder or a name on the hub")
        if Path(weights).is_dir():
            weights = str(Path(weights).resolve())
        self.weights, self.precision = weights, precision
        folder = Path(weights) if Path(weights).is_dir() else _from_hub(weights)
        self._network, self._processor = _load(weights, folder)
        config, preprocessing = self._network.config, self._processor.to_dict()
        resample = preprocessing.get("resample")
        self._resample = Image.Resampling(Image.Resampling.BICUBIC if resample is None else int(resample))
        self._size = _input_size(weights, config, preprocessing)
        self._visible = self._size
        shape = self._probe()
        self._grid, self._visible = _grid(weights, shape, self._size, _pair(getattr(config, "patch_size", None)))
        self.dim = int(shape[2] if len(shape) == 3 else shape[1])
        for side, value, maximum in zip(("rows", "columns"), (rows, columns), self._grid, strict=True):
            if value > maximum:
                raise EmocapError(
                    f"extractor vit: {side} is {value}, but {weights} has a grid of {self._grid[0]} rows x "
                    f"{self._grid[1]} columns; set no more than that"
                )
        used = {key: preprocessing.get(key) for key in _PROCESSOR_FIELDS}
        self.weights_hash = _weights_hash(folder, used | {"resample": self._resample, "size": self._size})

    @property
    def computed_in(self) -> str:
        return type_name(self._dtype)

    @property
    def settings(self) -> dict[str, Any]:
        return {"weights": self.weights, "rows": self.rows, "columns": self.columns, "precision": self.precision}

    @property
    def at_least(self) -> int:
        return max(self._size)

    @property
    def batch_size(self) -> int:
        return 64 if best_device().type == "cuda" else 8

    def prepare(self, image: Image.Image) -> np.ndarray:
        """The whole image at the backbone's input size, (3, H, W) float32, rescaled and normalised.

        Args:
            image: RGB, upright.
        """
        height, width = self._visible
        resized = image.resize((width, height), self._resample)
        # Resized here: processors differ in how they interpret `size` (ConvNeXT's crops even if told not to).
        inputs = self._processor(resized, return_tensors="np", do_resize=False, do_center_crop=False, do_pad=False)
        pixels = np.asarray(inputs["pixel_values"][0], np.float32)
        return np.pad(pixels, ((0, 0), (0, self._size[0] - height), (0, self._size[1] - width)))

    def describe(self, prepared: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> list[Regions]:
        """Features (rows * columns, dim) float32 of each image, and the cells in pixels of the full-size image.

        Args:
            prepared: result of `prepare` for each image.
            sizes: width and height in pixels of each upright image at full size.
        """
        hidden = self._hidden_states(np.stack(prepared))
        height, width = self._grid
        if hidden.ndim == 3:
            hidden = hidden[:, -height * width :].transpose(1, 2).unflatten(2, (height, width))
        cells = adaptive_avg_pool2d(hidden, (self.rows, self.columns)).flatten(2).transpose(1, 2)
        return [
            Regions(features, cell_boxes(self.rows, self.columns, size), size)
            for features, size in zip(cells.contiguous().cpu().numpy(), sizes, strict=True)
        ]

    def _hidden_states(self, pixels: np.ndarray) -> torch.Tensor:
        """(N, 3, H, W) -> (N, L, dim), or (N, dim, h, w) if the backbone gives a feature map; float32."""
        device = best_device()
        network = self._network.to(device)
        with inference_context(device, self._dtype):
            return network(pixel_values=torch.from_numpy(pixels).to(device)).last_hidden_state.float()

    def _probe(self) -> tuple[int, ...]:
        """The shape of the last hidden states for a plain grey image."""
        try:
            pixels = self.prepare(Image.new("RGB", (8, 8), (128, 128, 128)))
            if pixels.shape != (3, *self._size):
                raise EmocapError(f"its processor gives {pixels.shape}, expected {(3, *self._size)}")
            return tuple(self._hidden_states(pixels[None]).shape)
        except Exception as error:  # unsupported backbones raise many types
            raise EmocapError(
                f"{self.weights}: a {self._network.config.model_type} cannot be run on one image of its input size "
                f"({_reason(error)}); give a ViT, CLIP, SigLIP, DINOv2, Swin, ConvNeXT or similar"
            ) from error


def _from_hub(name: str) -> Path:
    files = ["config.json", *PROCESSOR_FILES, "model*.safetensors.index.json"]
    folder = snapshot(name, [*files, SAFETENSORS], needed=WEIGHT_FILES)
    if any(folder.glob("model*.safetensors*")) or any(folder.glob("pytorch_model*.bin*")):
        return folder
    return snapshot(name, [*files, PICKLED, "pytorch_model*.bin.index.json"], needed=WEIGHT_FILES)


def _load(weights: str, folder: Path) -> tuple[Any, Any]:
    """The network, on the CPU in float32, and its image processor."""
    if not (folder / "config.json").is_file():
        raise EmocapError(
            f"{weights}: has no config.json; give a folder saved by save_pretrained, or a name on the hub"
        )
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        with _quiet():
            config = AutoConfig.from_pretrained(folder, **local)
            network, report = AutoModel.from_pretrained(
                folder,
                config=getattr(config, "vision_config", config),
                dtype=torch.float32,  # not the dtype of the checkpoint
                output_loading_info=True,
                **local,
            )
    except Exception as error:  # transformers passes on the errors of many libraries
        raise EmocapError(
            f"{weights}: cannot be loaded ({_reason(error)}); download it again or give a different backbone"
        ) from error
    if network.main_input_name != "pixel_values":
        raise EmocapError(f"{weights}: a {config.model_type} does not take images; give a vision backbone")
    # Neither a pooler nor the token of masked patches affects the last hidden states.
    missing = [key for key in sorted(report["missing_keys"]) if "pooler" not in key and "mask_token" not in key]
    if missing:
        raise EmocapError(
            f"{weights}: its weights lack {missing[0]} and {len(missing) - 1} more; give a complete checkpoint"
        )
    if not any((folder / file).is_file() for file in PROCESSOR_FILES):
        raise EmocapError(f"{weights}: has no {PROCESSOR_FILES[0]}; add that of the backbone")
    try:
        with _quiet():
            return network.eval(), AutoImageProcessor.from_pretrained(folder, **local)
    except Exception as error:
        raise EmocapError(f"{weights}: its image processor cannot be loaded ({_reason(error)})") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence progress bars and the report of unused tensors, such as those of a text tower."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]:.200}"


def _pair(value: Any) -> tuple[int, int] | None:
    """Height and width from 16, (16, 16), {"height": 16, "width": 16} or {"shortest_edge": 16}.

    >>> _pair({"shortest_edge": 16})
    (16, 16)
    """
    if isinstance(value, dict):
        edge = value.get("shortest_edge")
        value = (value.get("height") or edge, value.get("width") or edge)
    pair = (value, value) if isinstance(value, int) else tuple(value or ())
    return pair if len(pair) == 2 and all(isinstance(side, int) and side > 0 for side in pair) else None


def _input_size(weights: str, config: Any, preprocessing: dict[str, Any]) -> tuple[int, int]:
    for size in (getattr(config, "image_size", None), preprocessing.get("crop_size"), preprocessing.get("size")):
        pair = _pair(size)
        if pair:
            return pair
    raise EmocapError(f"{weights}: its input size is not specified; give a backbone with a fixed input size")


def _grid(
    weights: str, shape: tuple[int, ...], size: tuple[int, int], patch: tuple[int, int] | None
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns of the backbone's own grid, and height and width in pixels of the input that it covers.

    Args:
        shape: shape of the last hidden states for one image.
        size: height and width of the input.
        patch: height and width of a patch, if the config has it; later stages of Swin have larger patches.

    >>> _grid("", (1, 1 + 27 * 27, 8), (384, 384), (14, 14))
    ((27, 27), (378, 378))
    >>> _grid("", (1, 49, 8), (224, 224), (4, 4))
    ((7, 7), (224, 224))
    """
    height, width = size
    if len(shape) == 4 and shape[3] == round(shape[2] * width / height):
        return (shape[2], shape[3]), size
    if len(shape) == 3:
        length = shape[1]
        if patch:
            rows, columns = height // patch[0], width // patch[1]
            if rows * columns > 0 and 0 <= length - rows * columns <= MAX_PREFIX_TOKENS:
                return (rows, columns), (rows * patch[0], columns * patch[1])
        side = math.isqrt(height * width // length)
        if side and height % side == width % side == 0 and (height // side) * (width // side) == length:
            return (height // side, width // side), size
    raise EmocapError(
        f"{weights}: hidden states of shape {shape} for an image of {height} x {width} pixels and patches of "
        f"{patch or 'unknown size'} do not form a grid; give a different backbone"
    )


def _weights_hash(folder: Path, preprocessing: dict[str, Any]) -> str:
    """SHA-256 of the weight files, the config and the preprocessing; independent of their location."""
    files = list(folder.glob(SAFETENSORS)) or list(folder.glob(PICKLED))
    config = read_json(folder / "config.json")
    config = {key: value for key, value in config.get("vision_config", config).items() if key not in _IGNORED_CONFIG}
    content = [sorted(map(sha256_of, files)), config, preprocessing]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
