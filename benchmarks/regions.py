"""Benchmarks of region features: the speed of the detector and of reads from a store, each against alternatives.

    python benchmarks/regions.py detector IMAGES    # the optimised network against the plain one
    python benchmarks/regions.py extract IMAGES     # JPEG files to a store, against decoding and the network alone
    python benchmarks/regions.py store              # random reads, against HDF5, base64 TSV, LMDB and a copy in memory
    python benchmarks/regions.py million            # opening a store of a million images

The detector has random weights: speed does not depend on them.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

REGIONS, DIM = 36, 2048


def peak_gib() -> float:
    """Peak memory of this process so far; 0 on systems without the module `resource`."""
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def photographs(folder: Path, n: int) -> list[Path]:
    """The first n photographs of 640 x 480 pixels in a folder."""
    from PIL import Image

    paths = []
    for path in sorted(folder.glob("*.jpg")):
        with Image.open(path) as image:
            if image.size == (640, 480):
                paths.append(path)
    if len(paths) < n:
        sys.exit(f"{folder}: has {len(paths)} photographs of 640 x 480, expected {n}")
    return paths[:n]


def random_network(fast: bool):
    """The published architecture with random weights scaled so that its activations stay in range."""
    import torch

    from emocap.regions.extractors.faster_rcnn import FasterRCNN
    from emocap.regions.extractors.frcnn_config import DetectorConfig

    torch.manual_seed(0)
    network = FasterRCNN(DetectorConfig())
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if name.endswith("weight") and tensor.ndim > 1:
                tensor.normal_(std=(2 / tensor[0].numel()) ** 0.5)
            elif ".conv3.norm.weight" in name:
                tensor.fill_(0.25)
        network.backbone.stem.conv1.weight /= 64
        network.proposal_generator.rpn_head.anchor_deltas.weight *= 0.05
        network.roi_heads.box_predictor.bbox_pred.weight *= 0.05
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = network.to(device)
    return network.speed_up() if fast else network


def detector(images: Path, n: int) -> None:
    """Images per second of the optimised network and of the plain one, one image at a time, in float32."""
    import torch
    from PIL import Image

    from emocap.regions.extractors.faster_rcnn import scaled_image

    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {n} photographs of 640 x 480")
    pixels = [torch.from_numpy(np.array(Image.open(path).convert("RGB"))) for path in photographs(images, n)]
    rates, features = {}, {}
    for name in ("fast", "plain"):
        network = random_network(name == "fast")
        with torch.inference_mode():
            network([scaled_image(pixels[0], network.config)])  # warm
            start = time.perf_counter()
            detections = [network([scaled_image(image, network.config)])[0] for image in pixels]
            rates[name] = n / (time.perf_counter() - start)
        features[name] = detections
        print(
            f"{name:6} {rates[name]:.4f} images/s, {1 / rates[name]:.2f} s per image, peak {peak_gib():.2f} GiB so far"
        )
    differences = [
        float((fast.features - plain.features).norm() / plain.features.norm())
        for fast, plain in zip(features["fast"], features["plain"], strict=True)
    ]
    print(
        f"ratio  {rates['fast'] / rates['plain']:.2f}; maximum relative difference of features {max(differences):.1e}"
    )


def extract(images: Path, n: int, batch_size: int | None) -> None:
    """From JPEG files to a store, against decoding alone and the network alone."""
    import torch
    from joblib import cpu_count

    from emocap.regions.describe import prepare_source
    from emocap.regions.extract import extract as run
    from emocap.regions.extractors.frcnn_vg import VisualGenomeExtractor

    extractor = VisualGenomeExtractor.of_network(random_network(fast=False))
    paths = photographs(images, min(n, 48))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(n):
            (root / f"{number:06d}.jpg").symlink_to(paths[number % len(paths)].resolve())
        keys = [f"{number:06d}.jpg" for number in range(n)]
        start = time.perf_counter()
        prepared = [prepare_source(root / key, extractor) for key in keys[: min(n, 128)]]
        decoding = (time.perf_counter() - start) / len(prepared)
        size = batch_size or extractor.batch_size
        batches = [prepared[i : i + size] for i in range(0, len(prepared), size)]
        values, sizes = zip(*batches[0], strict=True)
        extractor.describe(values, sizes)  # warm
        start = time.perf_counter()
        for batch in batches:
            values, sizes = zip(*batch, strict=True)
            extractor.describe(values, sizes)
        network = (time.perf_counter() - start) / len(prepared)
        start = time.perf_counter()
        run(keys, root, extractor, root / "store", batch_size=batch_size)
        total = (time.perf_counter() - start) / n
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{where}, {extractor.computed_in}, batches of {size}, {n} JPEG files of 640 x 480")
    print(f"end to end    {1 / total:10.3f} images/s, peak {peak_gib():.2f} GiB")
    print(
        f"network alone {1 / network:10.3f} images/s, the upper bound; end to end reaches {network / total:.0%} of it"
    )
    print(
        f"decoding      {1 / decoding:10.1f} images/s per core, {cpu_count()} cores, {decoding / total:.1%} of a core"
    )


def timed(read: Callable[[str], None], order: Sequence[str]) -> float:
    """Seconds per read, the best of five passes."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for key in order:
            read(key)
        best = min(best, (time.perf_counter() - start) / len(order))
    return best


def write_layouts(folder: Path, keys: Sequence[str], features: np.ndarray, boxes: np.ndarray) -> dict[str, int]:
    """Write the same features in every layout; returns the offset of each line of the TSV."""
    import h5py
    import lmdb

    from emocap.regions.extractors.base import Regions
    from emocap.regions.store.format import FeatureSource
    from emocap.regions.store.writer import write_store

    with write_store(folder / "store", FeatureSource("random", {}, "", DIM)) as writer:
        for row, key in enumerate(keys):
            writer.add(key, Regions(features[row], boxes[row], (640, 480)))
    with h5py.File(folder / "features.hdf5", "w") as file:
        file["float16"], file["float32"], file["image_bb"] = features, features.astype(np.float32), boxes
        for row, key in enumerate(keys):
            file[f"{key}/features"], file[f"{key}/boxes"] = features[row].astype(np.float32), boxes[row]
    environment = lmdb.open(str(folder / "lmdb"), map_size=2 * features.nbytes + 2**28)
    with environment.begin(write=True) as transaction:
        for row, key in enumerate(keys):
            transaction.put(key.encode(), features[row].tobytes() + boxes[row].tobytes())
    starts = {}
    with (folder / "features.tsv").open("wb") as file:
        for row, key in enumerate(keys):
            starts[key] = file.tell()
            texts = [base64.b64encode(a.astype(np.float32).tobytes()) for a in (boxes[row], features[row])]
            file.write(b"\t".join([key.encode(), b"640", b"480", b"36", *texts]) + b"\n")
    environment.close()
    return starts


class Layouts:
    """Random features and boxes in memory, and the same in files of every layout, opened for reading."""

    def __init__(self, folder: Path, n: int) -> None:
        import h5py
        import lmdb

        from emocap.regions.store.reader import FeatureStore

        self.rng = np.random.default_rng(0)
        self.features = self.rng.standard_normal((n, REGIONS, DIM), dtype=np.float32).astype(np.float16)
        self.boxes = self.rng.uniform(0, 600, (n, REGIONS, 4)).astype(np.float32)
        self.keys = [f"{number:012d}.jpg" for number in range(n)]
        self.rows = {key: row for row, key in enumerate(self.keys)}
        self.starts = write_layouts(folder, self.keys, self.features, self.boxes)
        self.store = FeatureStore.open(folder / "store")
        self.hdf5 = h5py.File(folder / "features.hdf5")
        self.half, self.single, self.hdf5_boxes = (self.hdf5[name] for name in ("float16", "float32", "image_bb"))
        self.tsv = (folder / "features.tsv").open("rb")
        self.transaction = lmdb.open(str(folder / "lmdb"), readonly=True).begin(buffers=True)

    def close(self) -> None:
        self.tsv.close()
        self.hdf5.close()

    def readers(self) -> dict[str, tuple[Callable[[str], None], np.ndarray, np.ndarray]]:
        """Of each layout a function that reads a key, and the arrays that it fills.

        The arrays exist before, so that allocation is not measured.
        """
        half, single = np.empty((REGIONS, DIM), np.float16), np.empty((REGIONS, DIM), np.float32)
        corners = np.empty((REGIONS, 4), np.float32)
        n_bytes = REGIONS * DIM * 2

        def from_memory(key: str) -> None:
            half[:], corners[:] = self.features[self.rows[key]], self.boxes[self.rows[key]]

        def from_store(key: str) -> None:
            half[:], corners[:] = self.store[key]

        def from_lmdb(key: str) -> None:
            value = self.transaction.get(key.encode())
            half[:] = np.frombuffer(value[:n_bytes], np.float16).reshape(-1, DIM)
            corners[:] = np.frombuffer(value[n_bytes:], np.float32).reshape(-1, 4)

        def from_half(key: str) -> None:  # indexing is faster than read_direct
            half[:], corners[:] = self.half[self.rows[key]], self.hdf5_boxes[self.rows[key]]

        def from_single(key: str) -> None:
            single[:], corners[:] = self.single[self.rows[key]], self.hdf5_boxes[self.rows[key]]

        def from_group(key: str) -> None:
            single[:], corners[:] = self.hdf5[f"{key}/features"][:], self.hdf5[f"{key}/boxes"][:]

        def from_tsv(key: str) -> None:
            self.tsv.seek(self.starts[key])
            boxes, values = self.tsv.readline().split(b"\t")[4:]
            single[:] = np.frombuffer(base64.b64decode(values), np.float32).reshape(REGIONS, -1)
            corners[:] = np.frombuffer(base64.b64decode(boxes), np.float32).reshape(REGIONS, -1)

        return {
            "copy in memory": (from_memory, half, corners),
            "emocap store": (from_store, half, corners),
            "LMDB": (from_lmdb, half, corners),
            "HDF5, one array, float16": (from_half, half, corners),
            "HDF5, one array, float32": (from_single, single, corners),
            "HDF5, a group per image": (from_group, single, corners),
            "base64 TSV": (from_tsv, single, corners),
        }

    def check(self, keys: Sequence[str]) -> None:
        """Require that every layout returns what was written."""
        for key in keys:
            for name, (read, features, corners) in self.readers().items():
                features[:], corners[:] = 0, 0
                read(key)
                assert (features == self.features[self.rows[key]]).all(), f"{name}: different features"
                assert (corners == self.boxes[self.rows[key]]).all(), f"{name}: different boxes"


def store(n: int) -> None:
    """Random reads of 36 x 2,048 features and their boxes by the image's key, from files in the page cache."""
    import torch

    from emocap.training.batching import pad_regions

    with tempfile.TemporaryDirectory() as name:
        layouts = Layouts(Path(name), n)
        order = [layouts.keys[i] for i in layouts.rng.permutation(n)]
        layouts.check(order[:20])
        readers = {name: read for name, (read, _, _) in layouts.readers().items()}
        start = time.perf_counter()
        for key in order:
            readers["emocap store"](key)
        first = (time.perf_counter() - start) / n
        seconds = {name: timed(read, order) for name, read in readers.items()}
        print(f"{n} images in a random order, features and boxes, from the page cache, copied:")
        for name, value in seconds.items():
            print(f"{name:25} {value * 1e6:9.1f} us per read, {value / seconds['emocap store']:6.2f} times the store's")
        print(f"first pass over the store: {first * 1e6:.1f} us per read")
        mapped = timed(lambda key: layouts.store[key], order)
        print(f"the store's mapped arrays, not copied: {mapped * 1e6:.2f} us per read")
        rows, boxes = layouts.rows, layouts.hdf5_boxes
        for name, dataset in (("float16", layouts.half), ("float32", layouts.single)):
            value = timed(lambda key, dataset=dataset: (dataset[rows[key]], boxes[rows[key]]), order)
            print(f"HDF5's arrays, one array, {name}: {value * 1e6:.1f} us, {value / mapped:.1f} times the store's")
        batches = [order[start : start + 64] for start in range(0, n - 63, 64)]
        filled = timed(lambda batch: pad_regions([layouts.store[key][0] for key in batch]), batches)
        stacked = timed(lambda batch: torch.from_numpy(np.stack([layouts.single[rows[k]] for k in batch])), batches)
        print(f"64 images as one float32 tensor: {filled * 1e3:.2f} ms, from HDF5 float32 {stacked * 1e3:.2f} ms")
        layouts.close()


OPEN = """
import sys, time
import numpy as np
from emocap.regions.store.reader import FeatureStore
try:
    import resource
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
except ImportError:
    peak = lambda: 0.0
before, start = peak(), time.perf_counter()
store = FeatureStore.open(sys.argv[1])
opened, after = time.perf_counter() - start, peak()
keys = [f"{i:012d}.jpg" for i in np.random.default_rng(0).integers(0, len(store), 1000)]
start = time.perf_counter()
assert all(len(store[key][0]) == 36 for key in keys)
print(f"{len(store):,} images: opened in {opened * 1000:.0f} ms with {after - before:.1f} MiB more; "
      f"{(time.perf_counter() - start) * 1e3:.1f} us per first look-up of an image")
"""


def million(n: int) -> None:
    """Opening a store of very many images, with a real index and sparse files for the features."""
    from emocap.regions.store.format import INDEX_FILES, shard_file
    from emocap.regions.store.journal import Entry
    from emocap.regions.store.writer import IMAGES_PER_SHARD, index_arrays

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, array in index_arrays([Entry(f"{i:012d}.jpg", (640, 480), REGIONS) for i in range(n)]).items():
            np.save(folder / file, array)
        shards = [min(IMAGES_PER_SHARD, n - start) for start in range(0, n, IMAGES_PER_SHARD)]
        holes = {shard_file(i): ((count * REGIONS, DIM), "<f2") for i, count in enumerate(shards)}
        for file, (shape, dtype) in (holes | {"boxes.npy": ((n * REGIONS, 4), "<f4")}).items():
            with (folder / file).open("wb") as hole:
                np.lib.format.write_array_header_1_0(hole, {"descr": dtype, "fortran_order": False, "shape": shape})
                os.truncate(hole.fileno(), hole.tell() + int(np.prod(shape)) * np.dtype(dtype).itemsize)
        header = {
            "schema": 2,
            "extractor": "x",
            "settings": {},
            "weights_hash": "",
            "computed_in": "",
            "dim": DIM,
            "n_images": n,
        }
        header |= {"n_regions": n * REGIONS, "shards": shards, "objects": [], "attributes": []}
        header["sha256"] = dict.fromkeys([*INDEX_FILES, *map(shard_file, range(len(shards)))], "")
        (folder / "header.json").write_text(json.dumps(header))
        subprocess.run([sys.executable, "-c", OPEN, str(folder)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["detector", "extract", "store", "million"])
    parser.add_argument("images", type=Path, nargs="?", help="folder of photographs, some of them of 640 x 480")
    parser.add_argument("-n", type=int, help="number of images; default 4, 512, 2000 and 1,000,000")
    parser.add_argument("--batch-size", type=int)
    arguments = parser.parse_args()
    if arguments.what in ("detector", "extract") and arguments.images is None:
        parser.error(f"{arguments.what} needs a folder of photographs")
    if arguments.what == "detector":
        detector(arguments.images, arguments.n or 4)
    elif arguments.what == "extract":
        extract(arguments.images, arguments.n or 512, arguments.batch_size)
    elif arguments.what == "store":
        store(arguments.n or 2000)
    else:
        million(arguments.n or 1_000_000)


if __name__ == "__main__":
    main()
