"""Training data of the captioner: balanced sampling of emotions, shifted captions, and a loss without padding."""

import copy
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from emocap.captioning.data import CaptionDataset, ImageWords, caption_loss
from emocap.captioning.model import build_captioner
from emocap.captioning.prompts import IGNORED, Prompts
from emocap.captioning.region_words import RegionProjector, RegionWordClassifier, region_word_loss
from emocap.training.optimizer import build_optimizer
from emocap.training.settings import TrainSettings
from emocap.training.train import train

SPECIAL = SimpleNamespace(cls_token_id=2, sep_token_id=3, pad_token_id=0)
PROMPTS = Prompts([[10], [11, 12], [13]], cls_token_id=2, sep_token_id=3)


def dataset(targets, drop=0.2, captions=((2, 5, 6, 3), (2, 7, 3))):
    return CaptionDataset(captions, ["a", "b"], np.array(targets, np.float32), PROMPTS, None, drop)


def prompts_of(batch) -> list[tuple[int, ...]]:
    rows = zip(batch["input_ids"].tolist(), batch["attention_mask"].tolist(), strict=True)
    return [tuple(ids[: sum(mask)]) for ids, mask in rows]


def test_encodes_emotions_between_special_tokens() -> None:
    assert prompts_of(PROMPTS.batch([[1, 0], []])) == [(2, 11, 12, 10, 3), (2, 3)]


def test_labels_are_the_next_tokens() -> None:
    batch = dataset([[1, 0, 0], [0, 1, 0]]).collate([0, 1])
    assert batch["decoder_input_ids"].tolist() == [[2, 5, 6], [2, 7, 0]]
    assert batch["decoder_attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch["labels"].tolist() == [[5, 6, 3], [7, 3, IGNORED]]


def test_samples_own_emotions_and_sometimes_none() -> None:
    data = dataset([[1, 0, 1], [0, 0, 0]])
    counts = Counter(prompt for epoch in range(500) for prompt in prompts_of(data.collate([2 * epoch])))
    assert set(counts) == {(2, 3), (2, 10, 3), (2, 13, 3), (2, 10, 13, 3), (2, 13, 10, 3)}
    assert counts[(2, 3)] / 500 == pytest.approx(0.2, abs=0.05)
    assert {prompt for n in range(20) for prompt in prompts_of(data.collate([2 * n + 1]))} == {(2, 3)}, (
        "no known emotion"
    )


def test_samples_rare_emotions_as_often_as_common_ones() -> None:
    targets = np.zeros((20, 3), np.float32)
    targets[:, 0] = 0.5  # all captions have the first emotion, two also the second
    targets[:2, 1] = 0.5
    data = CaptionDataset([[2, 5, 3]] * 20, ["a"] * 20, targets, PROMPTS, None, 0.0)
    first = Counter(data.sample_emotions(20 * epoch)[0] for epoch in range(400))
    assert first[1] / first[0] == pytest.approx(10, rel=0.5), (
        "ten times as rare, so sampled ten times as often where it occurs"
    )


def test_sample_depends_on_seed_epoch_and_caption_only() -> None:
    """Independent of earlier samples: a run that resumes within an epoch samples as an uninterrupted one."""
    data = dataset([[1, 1, 1], [1, 1, 1]])
    samples = [data.sample_emotions(item) for item in range(12)]
    assert [data.sample_emotions(item) for item in reversed(range(12))] == samples[::-1]
    assert len({tuple(sample) for sample in samples}) > 3
    other = CaptionDataset(data.captions, data.images, data.targets, PROMPTS, None, 0.2, seed=1)
    assert [other.sample_emotions(item) for item in range(12)] != samples
    batch = data.collate([5, 4])
    assert batch["labels"].tolist() == [[7, 3, IGNORED], [5, 6, 3]], "items of epoch 2 are the captions of epoch 0"


def test_loss_is_mean_over_tokens_without_padding() -> None:
    logits = torch.tensor([[[0.0, 0.0], [2.0, 0.0]]])
    labels = torch.tensor([[1, IGNORED]])
    assert caption_loss(SimpleNamespace(logits=logits), labels).item() == pytest.approx(np.log(2))
    labels = torch.tensor([[1, 0]])
    expected = (np.log(2) + np.log(1 + np.exp(-2))) / 2
    assert caption_loss(SimpleNamespace(logits=logits), labels).item() == pytest.approx(expected)


class Killed(Exception):
    pass


@pytest.mark.parametrize("save_steps", [None, 1])
def test_resumed_training_equals_uninterrupted_training(tiny_model, tmp_path, save_steps) -> None:
    """At the end of an epoch and within one, including the sampled emotions."""
    rng = np.random.default_rng(0)
    captions = [[2, *rng.integers(5, 30, 5).tolist(), 3] for _ in range(64)]
    targets = rng.random((64, 3)).astype(np.float32)
    data = CaptionDataset(captions, ["x"] * 64, targets, PROMPTS, None, 0.3)
    settings = TrainSettings(epochs=3, learning_rate=3e-3, batch_size=16, select_by=None, save_steps=save_steps)
    calls = 0

    def dying(rows):
        nonlocal calls
        calls += 1
        if calls == 7:
            raise Killed
        return data.collate(rows)

    def fit(folder, collate=data.collate):
        model = build_captioner(tiny_model.visualbert, tiny_model.visualbert, SPECIAL, layers=1, seed=0)
        history = train(
            copy.deepcopy(model),
            data,
            None,
            settings,
            tmp_path / folder,
            name="captioner",
            seed=0,
            metrics=None,
            collate=collate,
            lengths=data.lengths,
            loss=caption_loss,
            numbered_by_epoch=True,
        )
        return [row["loss"] for row in history["train"]]

    unbroken = fit("whole")
    with pytest.raises(Killed):
        fit("broken", dying)
    assert list((tmp_path / "broken" / "checkpoints").glob("checkpoint-*")), "it was killed before its first checkpoint"
    torch.manual_seed(99)
    assert fit("broken") == unbroken
    assert np.mean(unbroken[-4:]) < np.mean(unbroken[:4]) - 0.2, "the loss falls"


def test_decoder_uses_head_learning_rate(tiny_model) -> None:
    model = build_captioner(tiny_model.visualbert, tiny_model.visualbert, SPECIAL, layers=1, seed=0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = build_optimizer(model, TrainSettings(learning_rate=1e-5, head_learning_rate=1e-3)).param_groups
    rates = {names[id(parameter)]: group["lr"] for group in groups for parameter in group["params"]}
    assert {rate for name, rate in rates.items() if name.startswith("encoder.")} == {1e-5}
    assert {rate for name, rate in rates.items() if name.startswith("decoder.")} == {1e-3}


def test_image_words_are_those_of_its_captions() -> None:
    store = {"a": (np.ones((2, 4)),), "b": (np.ones((1, 4)),), "empty": (np.ones((0, 4)),)}
    captions = [(2, 5, 6, 5, 3), (2, 6, 3), (2, 7, 6, 3), (2, 8, 3), (2, 9, 3)]
    images = ["a", "a", "b", "empty", "not in the store"]
    data = ImageWords.of(CaptionDataset(captions, images, np.ones((5, 3)), PROMPTS, store, 0.2), max_words=2)
    assert (data.images, data.word_ids) == (["a", "b"], [6, 5])
    assert data.targets.tolist() == [[1.0, 0.5], [1.0, 0.0]]
    batch = data.collate([1, 0])
    assert batch["labels"].tolist() == [[1.0, 0.0], [1.0, 0.5]]
    assert batch["visual_attention_mask"].tolist() == [[1, 0], [1, 1]]


def test_projector_learns_words_from_the_image_itself(tmp_path) -> None:
    generator = np.random.default_rng(0)
    objects = 3 * generator.normal(size=(4, 8))
    kinds = generator.integers(4, size=128)
    store = {}
    for number, kind in enumerate(kinds):
        regions = generator.normal(size=(3, 8)).astype(np.float32)
        regions[generator.integers(3)] += objects[kind]
        store[str(number)] = (regions,)
    captions = [(2, 20, 30 + int(kind), 3) for kind in kinds]
    data = ImageWords.of(CaptionDataset(captions, list(store), np.ones((128, 3)), PROMPTS, store, 0.2))
    torch.manual_seed(0)
    model = RegionWordClassifier(RegionProjector(8, 16), torch.randn(5, 16), torch.as_tensor(data.targets.mean(axis=0)))
    batch = data.collate(range(128))
    labels = batch.pop("labels")

    def loss(outputs) -> float:
        with torch.no_grad():
            return float(region_word_loss(outputs, labels))

    baseline = loss(SimpleNamespace(logits=model.bias.detach().expand(128, -1)))
    settings = TrainSettings(epochs=40, batch_size=32, learning_rate=3e-3, select_by=None)
    train(
        model, data, None, settings, tmp_path, name="words", seed=0, metrics=None, collate=data.collate,
        lengths=[1] * 128, loss=region_word_loss,
    )  # fmt: skip
    model.eval()
    own = loss(model(**batch))
    others = loss(model(**{key: value.roll(1, 0) for key, value in batch.items()}))
    assert own < 0.5 * baseline
    assert others > baseline
