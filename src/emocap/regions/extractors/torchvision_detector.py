"""The torchvision extractor: Faster R-CNN with ResNet-50-FPN v2, trained on COCO.

The network is that of Ren et al. 2015 (arXiv:1506.01497) with the training recipe of Li et al. 2021 (arXiv:2111.11429);
regions are selected as in bottom-up attention (Anderson et al. 2018, arXiv:1707.07998). Left out: torchvision's other
detectors, and attributes, which COCO does not have.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_V2_Weights, fasterrcnn_resnet50_fpn_v2
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import clip_boxes_to_image

from emocap.corpora.fetch import Release, fetch
from emocap.devices import best_device
from emocap.errors import EmocapError
from emocap.files import sha256_of
from emocap.regions.extractors.base import OBJECT, Names, Regions, integer_setting
from emocap.regions.extractors.network import best_boxes, inference_context, resolve_precision, type_name
from emocap.weights import read_tensors

MAX_BOXES = 300
# IoU above which the worse of two boxes is suppressed; at 1 none is, so that min_boxes remain if there are so many.
THRESHOLDS = (0.6, 0.7, 0.8, 0.9, 1.0)
SHORTER_SIDE, LONGER_SIDE = 800, 1333
PROPOSALS = 1000
_MIN_SIDE = 1e-2
_PREDICTOR = "roi_heads.box_predictor.cls_score.weight"


class TorchvisionExtractor:
    """Describes the most probable regions, each by the 1,024 outputs of the box head.

    Every proposal is assigned its most probable class (never the background) and that class's box; non-maximum
    suppression over all classes together leaves the regions. Features are pooled from the proposal, not from the
    refined box.

    Args:
        weights: COCO_V1, downloaded into torch's hub folder if it is not there, or a .pth file of tensors.
        min_boxes, max_boxes: regions per image; fewer than `min_boxes` if there are no more proposals.
        precision: "float32", "float16", "bfloat16", or "auto": float16 on a GPU, else float32.

    Raises:
        EmocapError: a setting is out of range, or the weights cannot be downloaded or read or belong to a different
            network.
    """

    name = "torchvision"
    dim = 1024
    at_least = None
    in_processes = False

    def __init__(
        self, weights: str = "COCO_V1", min_boxes: int = 36, max_boxes: int = 36, precision: str = "auto"
    ) -> None:
        self.min_boxes = integer_setting("torchvision", "min_boxes", min_boxes, 1, MAX_BOXES)
        self.max_boxes = integer_setting("torchvision", "max_boxes", max_boxes, 1, MAX_BOXES)
        if min_boxes > max_boxes:
            raise EmocapError(f"extractor torchvision: min_boxes is {min_boxes}, more than max_boxes, {max_boxes}")
        self._dtype = resolve_precision("torchvision", precision)
        path, self.weights_hash = _weights_file(weights)
        self.weights, self.precision = str(path.resolve()) if Path(weights).is_file() else weights, precision
        self._network = _load(path)
        n_classes = self._network.roi_heads.box_predictor.cls_score.out_features
        categories = tuple(FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1.meta["categories"])
        self.names = Names(categories if n_classes == len(categories) else ())

    @property
    def computed_in(self) -> str:
        return type_name(self._dtype)

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "weights": self.weights,
            "min_boxes": self.min_boxes,
            "max_boxes": self.max_boxes,
            "precision": self.precision,
        }

    @property
    def batch_size(self) -> int:
        return 16 if best_device().type == "cuda" else 1

    def prepare(self, image: Image.Image) -> np.ndarray:
        """All pixels, (H, W, 3) uint8.

        Args:
            image: RGB, upright.
        """
        return np.array(image)

    def describe(self, prepared: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> list[Regions]:
        """The regions of several images, most probable first; up to rounding independent of the batch.

        Args:
            prepared: result of `prepare` for each image.
            sizes: width and height in pixels of each upright image at full size.
        """
        device = best_device()
        network = self._network.to(device)
        with inference_context(device, self._dtype):
            resized = [network.transform([_as_input(pixels, device)])[0] for pixels in prepared]
            # Padding to the largest image of a batch would change the features: only equal shapes are batched.
            groups: dict[torch.Size, list[int]] = {}
            for number, images in enumerate(resized):
                groups.setdefault(images.tensors.shape, []).append(number)
            regions: dict[int, Regions] = {}
            for numbers in groups.values():
                batch = torch.cat([resized[number].tensors for number in numbers])
                shapes = [resized[number].image_sizes[0] for number in numbers]
                regions |= zip(numbers, self._regions(batch, shapes, [sizes[n] for n in numbers]), strict=True)
        return [regions[number] for number in range(len(prepared))]

    def _regions(
        self, batch: torch.Tensor, shapes: list[tuple[int, int]], sizes: list[tuple[int, int]]
    ) -> list[Regions]:
        """The regions of resized images (N, 3, H, W), each of height and width `shapes`; the rest is padding."""
        rpn, heads = self._network.rpn, self._network.roi_heads
        maps = {name: level.float() for name, level in self._network.backbone(batch).items()}
        # Half precision would round corners and make many scores equal.
        with torch.autocast(batch.device.type, enabled=False):
            proposals, _ = rpn(ImageList(batch, shapes), maps)
        proposals = [
            boxes if len(boxes) else batch.new_tensor([[0, 0, shape[1], shape[0]]])
            for boxes, shape in zip(proposals, shapes, strict=True)
        ]
        # The pooler infers its scales once, from the first shape that it gets; that of a thin image would be wrong.
        features = heads.box_head(heads.box_roi_pool(maps, proposals, [tuple(batch.shape[-2:])] * len(batch)))
        logits, deltas = heads.box_predictor(features)
        boxes = heads.box_coder.decode(deltas.float(), proposals)
        probabilities = logits.float().softmax(-1)
        counts = [len(of_image) for of_image in proposals]
        parts = zip(features.float().split(counts), boxes.split(counts), probabilities.split(counts), strict=True)
        return [
            self._best(proposals[number], *part, shapes[number], sizes[number]) for number, part in enumerate(parts)
        ]

    def _best(
        self,
        proposals: torch.Tensor,
        features: torch.Tensor,
        boxes: torch.Tensor,
        probabilities: torch.Tensor,
        shape: tuple[int, int],
        size: tuple[int, int],
    ) -> Regions:
        """The regions of one image from its proposals (P, 4), features (P, 1024), boxes (P, C, 4) and classes (P, C).

        Args:
            shape: height and width of the resized image, in whose pixels the boxes are.
            size: width and height of the image at full size.
        """
        probability, label = probabilities[:, 1:].max(1)
        label = label + 1
        refined = clip_boxes_to_image(boxes[torch.arange(len(label), device=label.device), label], shape)
        no_area = (refined[:, 2:] - refined[:, :2] < _MIN_SIDE).any(1, keepdim=True)
        refined = torch.where(no_area, proposals, refined)
        kept = best_boxes(refined, probability, THRESHOLDS, self.min_boxes, self.max_boxes)
        (height, width), edges = shape, np.array([*size, *size], np.float32)
        pixels = refined[kept].cpu().numpy() * (edges / np.array([width, height, width, height], np.float32))
        objects = np.zeros(len(kept), OBJECT)
        objects["object"] = label[kept].cpu().numpy()
        objects["object_probability"] = probability[kept].cpu().numpy()
        objects["attribute"] = -1
        return Regions(features[kept].cpu().numpy(), np.minimum(pixels, edges).astype(np.float32), size, objects)


def _as_input(pixels: np.ndarray, device: torch.device) -> torch.Tensor:
    """(3, H, W) float32 from 0 to 1, enlarged if resizing would leave less than a pixel of its shorter side."""
    image = torch.from_numpy(pixels).to(device).permute(2, 0, 1).float() / 255
    least = max(image.shape) // LONGER_SIDE + 1
    if min(image.shape[1:]) >= least:
        return image
    return interpolate(image[None], size=[max(side, least) for side in image.shape[1:]])[0]


def _weights_file(weights: str) -> tuple[Path, str]:
    """The file of the weights and its SHA-256."""
    published = FasterRCNN_ResNet50_FPN_V2_Weights.__members__
    if not isinstance(weights, str) or not (weights in published or Path(weights).is_file()):
        raise EmocapError(
            f"extractor torchvision: weights is {weights!r}, expected {', '.join(published)} or a .pth file"
        )
    if weights not in published:
        return Path(weights), sha256_of(Path(weights))
    url = published[weights].url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.exists():
        try:
            fetch(Release(url), path)
        except EmocapError as error:
            raise EmocapError(f"extractor torchvision: {error}; or give a .pth file as weights") from error
    # torchvision's file names end with the first digits of their SHA-256.
    digest, expected = sha256_of(path), path.stem.rpartition("-")[2]
    if not digest.startswith(expected):
        raise EmocapError(f"{path}: SHA-256 is {digest}, expected one that begins with {expected}; delete it")
    return path, digest


def _load(path: Path) -> Any:
    """The network, on the CPU, with the number of classes in the file."""
    state = read_tensors(path)
    try:
        with torch.device("meta"):
            network = fasterrcnn_resnet50_fpn_v2(
                weights=None,
                weights_backbone=None,
                num_classes=len(state[_PREDICTOR]),
                min_size=SHORTER_SIDE,
                max_size=LONGER_SIDE,
                rpn_post_nms_top_n_test=PROPOSALS,
            )
        network.load_state_dict(state, assign=True)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise EmocapError(
            f"{path}: not the weights of torchvision's fasterrcnn_resnet50_fpn_v2 ({type(error).__name__}: "
            f"{reason:.200}); give a file with its state_dict"
        ) from error
    return network.eval().float()
