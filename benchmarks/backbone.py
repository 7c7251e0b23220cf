"""Benchmark of the extractor `timm:tf_efficientnet_lite2`, from JPEG files, against timm used plainly.

    python benchmarks/backbone.py IMAGES -n 128

The plain side decodes, resizes and describes one image at a time, in the default memory layout, with timm's own model
and the same pooling. Both sides run in turns, several times; the ratios are those of the best runs, in seconds and in
seconds of the processor, which other work on the machine changes less. On a busy machine set OMP_WAIT_POLICY=passive.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from joblib import cpu_count
from PIL import Image
from torch.nn.functional import adaptive_avg_pool2d

from emocap.regions.describe import prepare_source
from emocap.regions.extract import extract
from emocap.regions.extractors.timm_backbone import TimmExtractor
from emocap.regions.extractors.timm_weights import load_backbone

NAME = "tf_efficientnet_lite2"


def plain(network: torch.nn.Module, paths: list[Path]) -> list[np.ndarray]:
    """The features (36, 1280) of each image, one at a time."""
    _, height, width = network.pretrained_cfg["input_size"]
    features = []
    with torch.inference_mode():
        for path in paths:
            with Image.open(path) as image:
                resized = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
            pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1)[None].contiguous()
            feature_map = network.forward_features(((pixels / 255) - 0.5) / 0.5)
            cells = [adaptive_avg_pool2d(feature_map, grid).flatten(2) for grid in ((5, 7), (1, 1))]
            features.append(torch.cat(cells, dim=2)[0].T.numpy())
    return features


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds and seconds of the processor."""
    start, used = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start, time.process_time() - used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of JPEG files")
    parser.add_argument("-n", type=int, default=128, help="number of images")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    paths = sorted(arguments.images.rglob("*.jpg"))[: arguments.n]
    n, keys = len(paths), [path.relative_to(arguments.images).as_posix() for path in paths]
    extractor = TimmExtractor(NAME)
    network, _ = load_backbone(NAME)
    sides: dict[str, list[tuple[float, float]]] = {"plain": [], "emocap": [], "decoding": []}
    print(f"{n} images, {cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "store"
            sides["plain"].append(timed(lambda: plain(network, paths)))
            sides["emocap"].append(timed(partial(extract, keys, arguments.images, extractor, store)))
            sides["decoding"].append(timed(lambda: [prepare_source(path, extractor) for path in paths]))
    best = {name: [min(times) for times in zip(*runs, strict=True)] for name, runs in sides.items()}
    for name, (seconds, used) in best.items():
        print(f"{name:9} {n / seconds:7.1f} images/s, {used / n * 1e3:6.1f} ms of the processor per image")
    seconds, used = (before / after for before, after in zip(best["plain"], best["emocap"], strict=True))
    print(f"emocap is {seconds:.2f} times as fast, and takes 1/{used:.2f} of the processor's time")


if __name__ == "__main__":
    main()
