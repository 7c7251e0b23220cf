"""Saved vision backbones, and a folder of photos with missing and corrupt ones."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def backbones(tmp_path_factory):
    """For each type, its folder and the network that was saved."""
    from .vit_backbones import KINDS, save

    folders = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    return {kind: (folder, save(kind, folder)) for kind, folder in folders.items()}


@pytest.fixture
def photos(tmp_path):
    """Six valid images, one missing, two corrupt, in this order of names."""
    root = tmp_path / "photos"
    (root / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = []
    for number, (form, size) in enumerate([("jpg", (90, 60)), ("png", (30, 80)), ("gif", (1, 1))] * 2):
        name = f"sub/{number}.{form}"
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(root / name)
        names.append(name)
    (root / "text.jpg").write_text("no image")
    (root / "short.jpg").write_bytes((root / "sub/0.jpg").read_bytes()[:900])
    return root, [*names[:2], "text.jpg", "gone.jpg", *names[2:], "short.jpg"]
