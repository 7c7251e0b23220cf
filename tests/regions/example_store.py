"""A small feature store with random regions."""

import numpy as np

from emocap.regions.extractors.base import OBJECT, Names, Regions
from emocap.regions.store.format import FeatureSource
from emocap.regions.store.writer import write_store

SETTINGS = {"rows": 1, "columns": 2}


NAMES = Names(("dog", "cat"), ("brown",))


def regions(count, dim=4, size=(640, 480), seed=0, named=False):
    rng = np.random.default_rng([seed, count])
    objects = None
    if named:
        objects = np.array([(i % 2, 0.5, -1, 0.0) for i in range(count)], OBJECT)
    features = rng.standard_normal((count, dim)).astype(np.float32)
    return Regions(features, rng.uniform(0, 600, (count, 4)).astype(np.float32), size, objects)


def feature_source(dim=4, settings=None, named=False):
    return FeatureSource("grid", settings or SETTINGS, "", dim, NAMES if named else None)


def write_example(path, counts=(3, 0, 2), dim=4, settings=None, seed=0, named=False):
    written = {}
    with write_store(path, feature_source(dim, settings, named)) as writer:
        for number, count in enumerate(counts):
            image_regions = regions(count, dim, (640 + number, 480), seed + number, named)
            writer.add(f"folder/{number}.jpg", image_regions)
            written[f"folder/{number}.jpg"] = image_regions
    return written


def file_names(folder):
    return sorted(file.name for file in folder.iterdir())
