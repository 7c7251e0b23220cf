"""The detector: each part against naive NumPy versions."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from emocap.regions.extractors.faster_rcnn import scaled_image, scaled_size
from emocap.regions.extractors.frcnn_heads import BoxPredictor
from emocap.regions.extractors.frcnn_rpn import AnchorGenerator, ProposalGenerator, apply_deltas
from emocap.regions.extractors.network import best_boxes
from emocap.regions.extractors.residual_products import ResidualProducts, minimal_filter
from emocap.regions.extractors.resnet import Bottleneck

from ..plain_boxes import suppressed
from ..small_detector import small_config, small_detector

RNG = np.random.default_rng(0)


def naive_deltas(box, delta, weights):
    width, height = box[2] - box[0], box[3] - box[1]
    x, y = box[0] + width / 2, box[1] + height / 2
    dx, dy, dw, dh = (d / w for d, w in zip(delta, weights, strict=True))
    x, y = x + dx * width, y + dy * height
    width *= math.exp(min(dw, math.log(1000 / 16)))
    height *= math.exp(min(dh, math.log(1000 / 16)))
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def clipped(box, height, width):
    return [min(max(box[i], 0), (width, height)[i % 2]) for i in range(4)]


def naive_roi_pool(feature_map, box, resolution):
    """As in Caffe: corners rounded, both ends inclusive, cells that may overlap."""
    channels, height, width = feature_map.shape
    left, top, right, bottom = (math.floor(v / 16 + 0.5) for v in box)
    h, w = max(bottom - top + 1, 1), max(right - left + 1, 1)
    out = np.zeros((channels, resolution, resolution), np.float32)
    for i in range(resolution):
        y0, y1 = (min(max(v + top, 0), height) for v in (i * h // resolution, -(-(i + 1) * h // resolution)))
        for j in range(resolution):
            x0, x1 = (min(max(v + left, 0), width) for v in (j * w // resolution, -(-(j + 1) * w // resolution)))
            if y1 > y0 and x1 > x0:
                out[:, i, j] = feature_map[:, y0:y1, x0:x1].max(axis=(1, 2))
    return out


def naive_conv(x, weight, bias=None, stride=1, dilation=1):
    """(C, H, W) by (O, C, k, k) with zero padding, by the definition of a convolution."""
    k = weight.shape[2]
    pad = k // 2 * dilation
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    height, width = ((n + 2 * pad - dilation * (k - 1) - 1) // stride + 1 for n in x.shape[1:])
    out = np.zeros((len(weight), height, width))
    for i in range(height):
        for j in range(width):
            window = padded[:, i * stride :, j * stride :][:, : dilation * (k - 1) + 1 : dilation]
            out[:, i, j] = (weight * window[:, :, : dilation * (k - 1) + 1 : dilation]).sum(axis=(1, 2, 3))
    return out if bias is None else out + bias[:, None, None]


def naive_normed(x, conv, stride=1, dilation=1):
    out = naive_conv(x, conv.weight.detach().numpy().astype(np.float64), None, stride, dilation)
    norm = conv.norm
    mean, var, weight, bias = (
        t.detach().numpy()[:, None, None] for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (out - mean) / np.sqrt(var + 1e-5) * weight + bias


def naive_block(x, block, stride=1, dilation=1):
    inner = np.maximum(naive_normed(x, block.conv1, stride), 0)
    inner = np.maximum(naive_normed(inner, block.conv2, 1, dilation), 0)
    inner = naive_normed(inner, block.conv3)
    return np.maximum(inner + (x if block.shortcut is None else naive_normed(x, block.shortcut, stride)), 0)


def test_scaled_size_bounds_the_longer_side():
    config = small_config(min_size=800, max_size=1333)
    assert scaled_size(480, 640, config) == (800, 1067)
    assert scaled_size(640, 480, config) == (1067, 800)
    assert scaled_size(1, 1, config) == (800, 800)
    assert scaled_size(10, 20_000, config) == (1, 1333)
    assert scaled_size(1, 20_000, config) == (1, 1333)


def test_scaled_image_is_bgr_minus_mean_interpolated():
    config = small_config(min_size=4, max_size=8)
    image = torch.tensor([[[10, 20, 30], [50, 60, 70]], [[10, 20, 30], [50, 60, 70]]], dtype=torch.uint8)
    scaled = scaled_image(image, config)
    assert scaled.shape == (3, 4, 4)
    # 2 to 4 columns: centres at a quarter and three quarters between the two
    blue = np.array([30, 40, 60, 70]) - 102.9801
    assert np.allclose(scaled[0].numpy(), np.tile(blue, (4, 1)), atol=1e-4)
    assert np.allclose(scaled[2, 0].numpy(), np.array([10, 20, 40, 50]) - 122.7717, atol=1e-4)


def test_scaled_image_supports_rgb_and_std():
    config = small_config(min_size=2, max_size=4, channels="RGB", pixel_mean=(1.0, 2.0, 3.0), pixel_std=(2.0, 4.0, 5.0))
    scaled = scaled_image(torch.tensor([[[11, 22, 33]] * 2] * 2, dtype=torch.uint8), config)
    assert scaled[:, 0, 0].tolist() == [5.0, 5.0, 6.0]


def test_anchor_offset_shifts_anchors():
    plain, moved = (AnchorGenerator(small_config(anchor_offset=offset))(1, 2) for offset in (0.0, 0.5))
    assert torch.allclose(moved - plain, torch.tensor(8.0), atol=1e-4)


def test_anchors_are_sizes_by_ratios_per_cell():
    anchors = AnchorGenerator(small_config(anchor_sizes=(64, 128), anchor_ratios=(0.5, 1.0, 2.0)))(2, 3).numpy()
    expected = []
    for row in range(2):
        for column in range(3):
            for size in (64, 128):
                for ratio in (0.5, 1.0, 2.0):
                    width, height = size / math.sqrt(ratio), size * math.sqrt(ratio)
                    x, y = 16 * column, 16 * row
                    expected.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    assert np.allclose(anchors, expected, atol=1e-4)


def test_apply_deltas_equals_naive_version():
    boxes = RNG.uniform(0, 50, (20, 2)).astype(np.float32)
    boxes = np.concatenate([boxes, boxes + RNG.uniform(1, 60, (20, 2)).astype(np.float32)], axis=1)
    deltas = (RNG.standard_normal((20, 4)) * 12).astype(np.float32)
    found = apply_deltas(torch.from_numpy(boxes), torch.from_numpy(deltas), (10.0, 10.0, 5.0, 5.0)).numpy()
    expected = [naive_deltas(*pair, (10, 10, 5, 5)) for pair in zip(boxes.tolist(), deltas.tolist(), strict=True)]
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-3)
    huge = apply_deltas(torch.tensor([[0.0, 0, 16, 16]]), torch.tensor([[0.0, 0, 99, 99]]), (1.0, 1, 1, 1))[0]
    assert float(huge[2] - huge[0]) == pytest.approx(1000, rel=1e-5)


def test_best_boxes_equal_naive_suppression():
    boxes = RNG.uniform(0, 40, (60, 2))
    boxes = np.concatenate([boxes, boxes + RNG.uniform(10, 40, (60, 2))], axis=1).astype(np.float32)
    scores = RNG.permutation(60).astype(np.float32)
    plain = {t: suppressed(boxes, scores, t) for t in (0.3, 0.5, 0.9)}
    assert len(plain[0.3]) < len(plain[0.5]) < len(plain[0.9])

    def found(least, most, thresholds=(0.3, 0.5, 0.9)):
        return best_boxes(torch.from_numpy(boxes), torch.from_numpy(scores), thresholds, least, most).tolist()

    assert found(1, 60) == plain[0.3]
    assert found(1, 4) == plain[0.3][:4]
    assert found(len(plain[0.3]) + 1, 60) == plain[0.5]
    assert found(60, 60) == plain[0.9]  # no threshold leaves so many: all boxes
    assert best_boxes(torch.zeros(0, 4), torch.zeros(0), (0.5,), 1, 5).tolist() == []


def test_proposals_equal_naive_selection():
    config = small_config(n_before_nms=70, n_proposals=15, anchor_sizes=(16, 48))
    generator = ProposalGenerator(config)
    logits, deltas = RNG.standard_normal((5, 6, 6)), RNG.standard_normal((5, 6, 24)) * 0.8
    generator.rpn_head.forward = lambda x: (torch.tensor(logits[None]).float(), torch.tensor(deltas[None]).float())
    height, width = 60, 70  # of the image, less than the cells cover
    (found,) = generator(torch.zeros(1, 64, 5, 6), [(4, 5)], [(height, width)])
    anchors = AnchorGenerator(config)(4, 5).numpy()
    flat_logits = logits[:4, :5].reshape(-1).astype(np.float32)
    flat_deltas = deltas[:4, :5].reshape(-1, 4)
    best = np.argsort(-flat_logits, kind="stable")[:70]
    boxes = [clipped(naive_deltas(anchors[i], flat_deltas[i], (1, 1, 1, 1)), height, width) for i in best]
    wide = [k for k, box in enumerate(boxes) if box[2] > box[0] and box[3] > box[1]]
    assert len(wide) < len(best)
    boxes, scores = np.array(boxes)[wide], flat_logits[best][wide]
    expected = boxes[suppressed(boxes, scores, 0.7)[:15]]
    assert np.allclose(found.detach().numpy(), expected, atol=1e-3)


def test_small_proposals_are_removed():
    config = small_config(n_before_nms=70, n_proposals=70, min_box_side=20, rpn_nms=1.0)
    generator = ProposalGenerator(config)
    with torch.no_grad():
        (found,) = generator(torch.randn(1, 64, 3, 3), [(3, 3)], [(48, 48)])
    assert 0 < len(found) < 54
    assert float((found[:, 2:] - found[:, :2]).min()) >= 20


def test_proposal_head_always_computes_in_float32():
    generator = ProposalGenerator(small_config())
    seen = []
    generator.rpn_head.register_forward_hook(lambda _, given, out: seen.extend([given[0].dtype, out[0].dtype]))
    with torch.autocast("cpu", torch.bfloat16):
        generator(torch.randn(1, 64, 3, 3).bfloat16(), [(3, 3)], [(48, 48)])
    assert seen == [torch.float32, torch.float32]


def test_roi_pooling_equals_naive_maxima():
    heads = small_detector(small_config(res2_channels=4, width=2)).roi_heads
    pooled = []
    heads._res5_features = lambda x: pooled.append(x) or x.mean(dim=(2, 3)).repeat(1, 2)
    maps = RNG.standard_normal((2, 16, 7, 9)).astype(np.float32)
    boxes = [
        np.array([[0, 0, 144, 112], [8, 8, 9, 9], [30.5, 17, 90, 60]], np.float32),
        np.array([[100, 90, 144, 112], [0, 50, 20, 51]], np.float32),
    ]
    heads.describe(torch.from_numpy(maps), [torch.from_numpy(b) for b in boxes], 3)
    found = torch.cat(pooled).numpy()
    expected = [naive_roi_pool(maps[i], box, 14) for i, of_image in enumerate(boxes) for box in of_image]
    assert np.allclose(found, expected)


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
@torch.no_grad()
def test_block_equals_naive_convolutions_before_and_after_folding(stride, dilation):
    torch.manual_seed(0)
    block = Bottleneck(6, 4, 6 if stride == dilation == 1 else 8, stride, dilation).eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.normal_()
            module.bias.normal_()
    x = torch.randn(1, 6, 9, 8)
    expected = naive_block(x[0].numpy().astype(np.float64), block, stride, dilation)
    assert np.allclose(block(x)[0][0].numpy(), expected, atol=1e-4)
    for conv in (block.conv1, block.conv2, block.conv3, block.shortcut):
        if conv is not None:
            conv.fold()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in block.modules())
    assert np.allclose(block(x)[0][0].numpy(), expected, atol=1e-4)


@torch.no_grad()
def test_stride_in_3x3_convolution_ignores_padding():
    torch.manual_seed(0)
    block = Bottleneck(6, 4, 8, 2, stride_in_1x1=False).eval()
    assert (block.conv1.stride, block.conv2.stride) == ((1, 1), (2, 2))
    x = torch.randn(1, 6, 9, 8)
    alone, _ = block(x)
    padded = torch.randn(2, 6, 12, 13)
    padded[0, :, :9, :8] = x[0]
    found, sizes = block(padded, [(9, 8), (12, 13)])
    assert sizes == [(5, 4), (6, 7)]
    assert torch.allclose(found[0, :, :5, :4], alone[0], atol=1e-5)


@pytest.mark.parametrize("caffe", [True, False])
@torch.no_grad()
def test_stem_pools_like_caffe(caffe):
    network = small_detector(small_config(caffe_maxpool=caffe))
    x = torch.randn(1, 3, 21, 26)
    found, _ = network.backbone.stem(x, None)
    before = np.maximum(naive_normed(x[0].numpy().astype(np.float64), network.backbone.stem.conv1, 2), 0)
    height, width = before.shape[1:]
    rows, columns = (height // 2, width // 2) if caffe else ((height + 1) // 2, (width + 1) // 2)
    first = 0 if caffe else -1  # Caffe's windows start at the first pixel and may extend beyond the last
    expected = np.array(
        [
            [
                before[:, max(0, 2 * i + first) : 2 * i + first + 3, max(0, 2 * j + first) : 2 * j + first + 3].max(
                    (1, 2)
                )
                for j in range(columns)
            ]
            for i in range(rows)
        ]
    ).transpose(2, 0, 1)
    assert found.shape[1:] == expected.shape
    assert np.allclose(found[0].numpy(), expected, atol=1e-4)


@torch.no_grad()
def test_background_selects_attribute_embedding_but_no_object():
    predictor = BoxPredictor(small_config(res2_channels=2))
    n_in = 16
    predictor.cls_score.weight.zero_()
    predictor.cls_score.bias.copy_(torch.tensor([0.0, 3.0, 0, 0, 0, 0, 0, 0, 0, 9.0]))  # the last is the background
    features = torch.randn(4, n_in)
    objects, probabilities, deltas, attributes, attribute_probabilities = predictor(features)
    assert objects.tolist() == [1] * 4
    exponentials = np.exp(predictor.cls_score.bias.numpy())
    assert np.allclose(probabilities, exponentials[1] / exponentials.sum())
    assert torch.equal(deltas, predictor.bbox_pred(features)[:, 4:8])
    joined = torch.cat([features, predictor.cls_embedding.weight[9].repeat(4, 1)], dim=1)
    logits = predictor.attr_score(predictor.fc_attr(joined).relu())[:, :5].numpy().astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert attributes.tolist() == expected.argmax(axis=1).tolist()
    assert np.allclose(attribute_probabilities, expected.max(axis=1), atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_minimal_filtering_is_a_correlation(n):
    a, b, g = minimal_filter(n)
    data, kernel = RNG.standard_normal(n + 2), RNG.standard_normal(3)
    assert np.allclose(a @ ((g @ kernel) * (b @ data)), [data[i : i + 3] @ kernel for i in range(n)])
    assert a.shape == (n, n + 2)


@torch.no_grad()
def test_residual_products_equal_the_stage():
    heads = small_detector(small_config(res2_channels=16)).roi_heads
    pooled = torch.randn(5, 64, 14, 14).relu()
    expected = heads._res5_features(pooled)
    for block in heads.res5:
        for conv in (block.conv1, block.conv2, block.conv3, block.shortcut):
            if conv is not None:
                conv.fold()
    found = ResidualProducts([block.folded() for block in heads.res5])(pooled)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert found.std(dim=0).mean() > 0.01  # regions differ
