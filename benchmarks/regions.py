"""Region features: how fast the detector finds them and a store gives them, each beside what people use today.

    python benchmarks/regions.py detector IMAGES    # this network made fast, against itself as one would write it
    python benchmarks/regions.py extract IMAGES     # JPEG files to a store, with the share of decoding and the ceiling
    python benchmarks/regions.py store              # random reads, against HDF5, base64 TSV, LMDB and a copy in memory
    python benchmarks/regions.py million            # opening a store of a million images

The detector has random weights: speed does not depend on them.
"""

import argparse
import base64
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

REGIONS, DIM = 36, 2048


def peak_gib() -> float:
    """Most memory that this process held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def photographs(folder: Path, n: int) -> list[Path]:
    """The first n photographs of 640 x 480 pixels in a folder."""
    from PIL import Image

    found = []
    for path in sorted(folder.glob("*.jpg")):
        with Image.open(path) as image:
            if image.size == (640, 480):
                found.append(path)
    if len(found) < n:
        sys.exit(f"{folder}: holds {len(found)} photographs of 640 x 480, expected {n}")
    return found[:n]


def fresh_network(fast: bool):
    """The published architecture with weights that keep its activations in range."""
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
    """Images per second of the fast network and of the plain one: one by one, default layout, float32."""
    import torch
    from PIL import Image

    from emocap.regions.extractors.faster_rcnn import scaled_image

    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {n} photographs of 640 x 480")
    pixels = [torch.from_numpy(np.array(Image.open(path).convert("RGB"))) for path in photographs(images, n)]
    rates, features = {}, {}
    for name in ("fast", "plain"):
        network = fresh_network(name == "fast")
        with torch.inference_mode():
            network([scaled_image(pixels[0], network.config)])  # warm
            start = time.perf_counter()
            found = [network([scaled_image(image, network.config)])[0] for image in pixels]
            rates[name] = n / (time.perf_counter() - start)
        features[name] = found
        print(
            f"{name:6} {rates[name]:.4f} images/s, {1 / rates[name]:.2f} s an image, peak {peak_gib():.2f} GiB so far"
        )
    differences = [
        float((ours.features - theirs.features).norm() / theirs.features.norm())
        for ours, theirs in zip(features["fast"], features["plain"], strict=True)
    ]
    print(f"ratio  {rates['fast'] / rates['plain']:.2f}; features differ by {max(differences):.1e} at most, relative")


def extract(images: Path, n: int, batch_size: int | None) -> None:
    """From JPEG files to a store, beside decoding alone and the network alone."""
    import torch
    from joblib import cpu_count

    from emocap.regions.extract import extract as run
    from emocap.regions.extract import prepare_source
    from emocap.regions.extractors.frcnn_vg import VisualGenomeExtractor

    extractor = VisualGenomeExtractor.of_network(fresh_network(fast=False))
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
        whole = (time.perf_counter() - start) / n
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{where}, {extractor.computed_in}, batches of {size}, {n} JPEG files of 640 x 480")
    print(f"end to end    {1 / whole:10.3f} images/s, peak {peak_gib():.2f} GiB")
    print(f"network alone {1 / network:10.3f} images/s: the ceiling, {network / whole:.0%} of it is reached")
    print(f"decoding      {1 / decoding:10.1f} images/s a core, {cpu_count()} cores; {decoding / whole:.1%} of a core")


def timed(read: Callable[[str], None], order: Sequence[str]) -> float:
    """Seconds a read, the best of five passes."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for key in order:
            read(key)
        best = min(best, (time.perf_counter() - start) / len(order))
    return best


def write_layouts(folder: Path, keys: Sequence[str], features: np.ndarray, boxes: np.ndarray) -> dict[str, int]:
    """The same features in every layout; gives where each line of the TSV starts."""
    import h5py
    import lmdb

    from emocap.regions.extractors.base import Regions
    from emocap.regions.store.writer import FeatureSource, write_store

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


def store(n: int) -> None:
    """Random reads of 36 x 2,048 features and their boxes by the image's key, from files in the page cache."""
    import h5py
    import lmdb
    import torch

    from emocap.regions.store.reader import FeatureStore
    from emocap.training.batching import pad_regions

    rng = np.random.default_rng(0)
    features = rng.standard_normal((n, REGIONS, DIM), dtype=np.float32).astype(np.float16)
    boxes = rng.uniform(0, 600, (n, REGIONS, 4)).astype(np.float32)
    keys = [f"{number:012d}.jpg" for number in range(n)]
    rows = {key: row for row, key in enumerate(keys)}
    order = [keys[i] for i in rng.permutation(n)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        starts = write_layouts(folder, keys, features, boxes)
        environment = lmdb.open(str(folder / "lmdb"), readonly=True)
        ours = FeatureStore.open(folder / "store")
        hdf5 = h5py.File(folder / "features.hdf5")
        half, single, of_boxes = hdf5["float16"], hdf5["float32"], hdf5["image_bb"]
        tsv = (folder / "features.tsv").open("rb")
        transaction = environment.begin(buffers=True)
        n_bytes = REGIONS * DIM * 2

        # Every reader fills arrays that are there already, so that no allocator is measured.
        half_out, out = np.empty((REGIONS, DIM), np.float16), np.empty((REGIONS, DIM), np.float32)
        corners_out = np.empty((REGIONS, 4), np.float32)

        def from_memory(key: str) -> None:
            half_out[:], corners_out[:] = features[rows[key]], boxes[rows[key]]

        def from_store(key: str) -> None:
            half_out[:], corners_out[:] = ours[key]

        def from_lmdb(key: str) -> None:
            value = transaction.get(key.encode())
            half_out[:] = np.frombuffer(value[:n_bytes], np.float16).reshape(-1, DIM)
            corners_out[:] = np.frombuffer(value[n_bytes:], np.float32).reshape(-1, 4)

        def from_array(dataset: h5py.Dataset, into: np.ndarray) -> Callable[[str], None]:
            def read(key: str) -> None:  # indexing has a fast path that read_direct has not
                into[:], corners_out[:] = dataset[rows[key]], of_boxes[rows[key]]

            return read

        def from_group(key: str) -> None:
            out[:], corners_out[:] = hdf5[f"{key}/features"][:], hdf5[f"{key}/boxes"][:]

        def from_tsv(key: str) -> None:
            tsv.seek(starts[key])
            corners, found = tsv.readline().split(b"\t")[4:]
            out[:] = np.frombuffer(base64.b64decode(found), np.float32).reshape(REGIONS, -1)
            corners_out[:] = np.frombuffer(base64.b64decode(corners), np.float32).reshape(REGIONS, -1)

        readers = {
            "copy in memory": (from_memory, half_out),
            "emocap store": (from_store, half_out),
            "LMDB": (from_lmdb, half_out),
            "HDF5, one array, float16": (from_array(half, half_out), half_out),
            "HDF5, one array, float32": (from_array(single, out), out),
            "HDF5, a group an image": (from_group, out),
            "base64 TSV": (from_tsv, out),
        }
        for key in order[:20]:
            for read, into in readers.values():
                into[:], corners_out[:] = 0, 0
                read(key)
                assert (into == features[rows[key]]).all(), "a reader reads something else"
                assert (corners_out == boxes[rows[key]]).all(), "a reader reads something else"
        start = time.perf_counter()
        for key in order:
            from_store(key)
        first = (time.perf_counter() - start) / n
        seconds = {name: timed(read, order) for name, (read, _) in readers.items()}
        print(f"{n} images in a random order, features and boxes, from the page cache, copied:")
        for name, value in seconds.items():
            print(f"{name:25} {value * 1e6:9.1f} us a read, {value / seconds['emocap store']:6.2f} of the store's")
        print(f"first pass over the store: {first * 1e6:.1f} us a read")
        mapped = timed(lambda key: ours[key], order)
        print(f"the store's own answer, mapped and not copied: {mapped * 1e6:.2f} us a read")
        plain = {"float16": lambda key: (half[rows[key]], of_boxes[rows[key]])}
        plain["float32"] = lambda key: (single[rows[key]], of_boxes[rows[key]])
        for name, read in plain.items():
            value = timed(read, order)
            print(f"HDF5's own answer, one array, {name}: {value * 1e6:.1f} us, {value / mapped:.1f} of the store's")
        batches = [order[start : start + 64] for start in range(0, n - 63, 64)]
        filled = timed(lambda batch: pad_regions([ours[key][0] for key in batch]), batches)
        stacked = timed(lambda batch: torch.from_numpy(np.stack([single[rows[key]] for key in batch])), batches)
        print(f"64 images as one float32 tensor: {filled * 1e3:.2f} ms, from HDF5 float32 {stacked * 1e3:.2f} ms")
        tsv.close()
        hdf5.close()


OPEN = """
import resource, sys, time
import numpy as np
from emocap.regions.store.reader import FeatureStore
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, start = peak(), time.perf_counter()
store = FeatureStore.open(sys.argv[1])
opened, after = time.perf_counter() - start, peak()
keys = [f"{i:012d}.jpg" for i in np.random.default_rng(0).integers(0, len(store), 1000)]
start = time.perf_counter()
assert all(len(store[key][0]) == 36 for key in keys)
print(f"{len(store):,} images: opened in {opened * 1000:.0f} ms with {after - before:.1f} MiB more; "
      f"{(time.perf_counter() - start) * 1e3:.1f} us a look-up of a new image")
"""


def million(n: int) -> None:
    """Opening a store of very many images: its index is real, its features are holes in sparse files."""
    from emocap.regions.store.format import INDEX_FILES, shard_file
    from emocap.regions.store.writer import IMAGES_PER_SHARD, Entry, _index

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, array in _index([Entry(f"{i:012d}.jpg", (640, 480), REGIONS) for i in range(n)]).items():
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
    parser.add_argument("-n", type=int, help="images; default 4, 512, 2000 and 1,000,000")
    parser.add_argument("--batch-size", type=int)
    given = parser.parse_args()
    if given.what in ("detector", "extract") and given.images is None:
        parser.error(f"{given.what} needs a folder of photographs")
    if given.what == "detector":
        detector(given.images, given.n or 4)
    elif given.what == "extract":
        extract(given.images, given.n or 512, given.batch_size)
    elif given.what == "store":
        store(given.n or 2000)
    else:
        million(given.n or 1_000_000)


if __name__ == "__main__":
    main()
