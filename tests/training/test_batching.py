"""Batches: padding, masks, missing images."""

import numpy as np
import pytest
import torch

from emocap.corpora.pairs_builder import PairsBuilder
from emocap.errors import EmocapError
from emocap.regions.extractors.base import Regions
from emocap.regions.store.format import FeatureSource
from emocap.regions.store.reader import FeatureStore
from emocap.regions.store.writer import write_store
from emocap.training import train as module
from emocap.training.batching import PairDataset, PooledDataset, pad_regions
from emocap.training.checkpoint import load_tokenizer
from emocap.training.predict import predict_probabilities
from emocap.training.settings import TrainSettings
from emocap.training.train import train


def store_of(path, regions: dict[str, int], dim: int = 4) -> FeatureStore:
    with write_store(path, FeatureSource("made", {}, "", dim)) as writer:
        for number, (image, count) in enumerate(regions.items(), 1):
            boxes = np.tile(np.array([0, 0, 1, 1], dtype=np.float32), (count, 1))
            writer.add(image, Regions(np.full((count, dim), number, dtype=np.float32), boxes, (1, 1)))
    return FeatureStore.open(path)


def test_pads_to_the_longest_of_the_batch(tmp_path) -> None:
    store = store_of(tmp_path / "s", {"a.jpg": 3, "b.jpg": 1})
    targets = np.array([[1, 0], [0, 1], [0.5, 0]], dtype=np.float32)
    data = PairDataset([[2, 5, 3], [2, 3], [2, 5, 6, 3]], ["b.jpg", "a.jpg", "gone.jpg"], targets, store)
    batch = data.collate([data[i] for i in range(3)])
    assert batch["input_ids"].tolist() == [[2, 5, 3, 0], [2, 3, 0, 0], [2, 5, 6, 3]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert batch["visual_attention_mask"].tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert batch["visual_embeds"][:, :, 0].tolist() == [[2, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert batch["visual_embeds"].dtype == torch.float32
    assert torch.equal(batch["labels"], torch.tensor(targets))


def test_no_image_gives_no_visual_input(tmp_path) -> None:
    data = PairDataset([[2, 3]], ["gone.jpg"], None, store_of(tmp_path / "s", {"a.jpg": 1}))
    assert set(data.collate([data[0]])) == {"input_ids", "attention_mask"}
    assert pad_regions([None, np.zeros((0, 4))]) == {}


def test_truncates_captions_and_keeps_special_tokens(tiny_bert) -> None:
    builder = PairsBuilder("made")
    builder.add("x", "1", "", "the dog waits alone by the sea")
    data = PairDataset.of(builder.build(), load_tokenizer(tiny_bert), 5, None)
    assert len(data.input_ids[0]) == 5
    assert (data.input_ids[0][0], data.input_ids[0][-1]) == (2, 3)


def test_by_length_puts_the_longest_first() -> None:
    data = PairDataset([[1], [1, 2, 3], [1, 2]], [""] * 3)
    assert data.by_length().tolist() == [1, 2, 0]
    assert data.lengths == [1, 3, 2]


def test_pooled_batches() -> None:
    data = PooledDataset(np.arange(6, dtype=np.float32).reshape(3, 2), np.eye(3, dtype=np.float32))
    batch = data.collate([data[0], data[2]])
    assert batch["pooled"].tolist() == [[0, 1], [4, 5]]
    assert batch["labels"].tolist() == [[1, 0, 0], [0, 0, 1]]


@pytest.fixture
def damaged_store(tmp_path):
    """A store of the images a and b, in which a feature of b is NaN."""
    with write_store(tmp_path / "store", FeatureSource("x", {}, "", 8)) as writer:
        for image in "ab":
            writer.add(image, Regions(np.ones((2, 8)), np.zeros((2, 4)), (4, 4)))
    path = tmp_path / "store/features-00000.npy"
    features = np.load(path)
    features[3, 2] = np.nan
    np.save(path, features)
    return FeatureStore.open(tmp_path / "store")


def test_names_store_and_image_of_features_that_are_not_finite(damaged_store, tiny_model, tmp_path) -> None:
    targets = np.ones((2, 3), np.float32)
    pairs = PairDataset([[2, 5, 3], [2, 6, 3]], ["a", "b"], targets, damaged_store)
    first = PairDataset([[2, 5, 3], [2, 6, 3]], ["a", "none"], targets, damaged_store)
    assert predict_probabilities(tiny_model, first, 2, "test").shape == (2, 3)
    with pytest.raises(EmocapError, match="store: the features of image 'b' contain NaN or infinity; extract"):
        predict_probabilities(tiny_model, pairs, 2, "test")
    settings = TrainSettings(epochs=1, select_by=None)
    with pytest.raises(EmocapError, match="the features of image 'b'"):
        train(
            tiny_model,
            pairs,
            None,
            settings,
            tmp_path,
            name="x",
            seed=0,
            metrics=None,
            collate=pairs.collate,
            lengths=[3, 3],
        )


def test_error_of_a_loader_process_is_one_line(damaged_store, tiny_model, tmp_path, monkeypatch) -> None:
    arguments = module._arguments

    def in_a_process(*args, **kwargs):
        made = arguments(*args, **kwargs)
        made.dataloader_num_workers = 1
        return made

    monkeypatch.setattr(module, "_arguments", in_a_process)
    pairs = PairDataset([[2, 6, 3]], ["b"], np.ones((1, 3), np.float32), damaged_store)
    settings = TrainSettings(epochs=1, select_by=None)
    with pytest.raises(EmocapError) as error:
        train(
            tiny_model,
            pairs,
            None,
            settings,
            tmp_path,
            name="x",
            seed=0,
            metrics=None,
            collate=pairs.collate,
            lengths=[3],
        )
    assert str(error.value).startswith(f"{damaged_store.path}: the features of image 'b' contain NaN")
    assert "Traceback" not in str(error.value)
