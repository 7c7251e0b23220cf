"""Multiple-instance learning of words: regions are found from image-level labels, and padding changes nothing."""

import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from emocap.captioning.region_words import RegionProjector, RegionWordClassifier, region_word_loss


def model_of(n_words=3, features=8, hidden=4):
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(n_words, hidden), dim=1)
    return RegionWordClassifier(RegionProjector(features, hidden), vectors, torch.full((n_words,), 0.3))


def synthetic_images(n, generator, objects):
    """(n, 5, 8) of noise with one object in region 1, 2 or 3 of each image; its class and its region."""
    regions = 0.3 * torch.randn(n, 5, 8, generator=generator)
    classes = torch.randint(len(objects), (n,), generator=generator)
    region_index = torch.randint(1, 4, (n,), generator=generator)
    regions[torch.arange(n), region_index] += objects[classes]
    return regions, torch.eye(len(objects))[classes], classes, region_index


def test_finds_regions_of_words_from_image_labels() -> None:
    generator = torch.Generator().manual_seed(1)
    objects = 2 * torch.randn(3, 8, generator=generator)
    model = model_of()
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(300):
        regions, labels, _, _ = synthetic_images(32, generator, objects)
        loss = region_word_loss(model(regions, torch.ones(32, 5)), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    regions, _, classes, region_index = synthetic_images(200, generator, objects)
    with torch.no_grad():
        pooled = model(regions, torch.ones(200, 5)).logits
        by_region = model.projector(regions) @ model.vectors.T
    assert (pooled.argmax(1) == classes).float().mean() > 0.95
    assert (by_region[torch.arange(200), :, classes].argmax(1) == region_index).float().mean() > 0.95


@torch.no_grad()
def test_padding_changes_nothing() -> None:
    model = model_of()
    regions, mask = torch.randn(2, 5, 8), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    other = regions.clone()
    other[0, 3:] = 100.0
    torch.testing.assert_close(model(regions, mask).logits, model(other, mask).logits)
    alone = model(regions[:1, :3], torch.ones(1, 3)).logits
    torch.testing.assert_close(model(regions, mask).logits[:1], alone)
    assert not torch.allclose(model(regions, mask).logits[1], model(other.flip(1), mask).logits[0])


def test_image_without_regions_predicts_frequencies_without_gradient() -> None:
    model = model_of()
    mask = torch.tensor([[0, 0], [1, 1]])
    output = model(torch.randn(2, 2, 8), mask)
    torch.testing.assert_close(torch.sigmoid(output.logits[0]), torch.full((3,), 0.3))
    region_word_loss(SequenceClassifierOutput(logits=output.logits[:1]), torch.ones(1, 3)).backward()
    assert all(bool((weight.grad == 0).all()) for weight in model.projector.parameters())


@torch.no_grad()
def test_uninformative_regions_predict_frequencies() -> None:
    model = model_of()
    for parameter in model.projector.parameters():
        parameter.zero_()
    chances = torch.sigmoid(model(torch.randn(1, 5, 8), torch.ones(1, 5)).logits)
    torch.testing.assert_close(chances, torch.full((1, 3), 0.3))


def test_loss_by_hand() -> None:
    class Output:
        logits = torch.tensor([[0.0, 0.0], [0.0, 0.0]])

    torch.testing.assert_close(
        region_word_loss(Output, torch.tensor([[1.0, 0.5], [0, 0]])), torch.tensor(2 * 0.6931472)
    )
