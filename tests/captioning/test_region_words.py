"""The reader of regions: which region has a word is learnt from pictures alone, and padding counts for nothing."""

import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from emocap.captioning.region_words import RegionReader, WordsOfRegions, words_loss


def model_of(n_words=3, features=8, hidden=4):
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(n_words, hidden), dim=1)
    return WordsOfRegions(RegionReader(features, hidden), vectors, torch.full((n_words,), 0.3))


def pictures(n, generator, things):
    """(n, 5, 8) of noise in which each picture's region 1 to 3 is one of the things, and which."""
    regions = 0.3 * torch.randn(n, 5, 8, generator=generator)
    kind = torch.randint(len(things), (n,), generator=generator)
    place = torch.randint(1, 4, (n,), generator=generator)
    regions[torch.arange(n), place] += things[kind]
    return regions, torch.eye(len(things))[kind], kind, place


def test_the_region_that_has_a_word_is_found_without_being_told() -> None:
    generator = torch.Generator().manual_seed(1)
    things = 2 * torch.randn(3, 8, generator=generator)
    model = model_of()
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(300):
        regions, labels, _, _ = pictures(32, generator, things)
        loss = words_loss(model(regions, torch.ones(32, 5)), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    regions, _, kind, place = pictures(200, generator, things)
    with torch.no_grad():
        pooled = model(regions, torch.ones(200, 5)).logits
        by_region = model.reader(regions) @ model.vectors.T
    assert (pooled.argmax(1) == kind).float().mean() > 0.95
    assert (by_region[torch.arange(200), :, kind].argmax(1) == place).float().mean() > 0.95


@torch.no_grad()
def test_regions_that_are_padding_count_for_nothing() -> None:
    model = model_of()
    regions, mask = torch.randn(2, 5, 8), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    other = regions.clone()
    other[0, 3:] = 100.0
    torch.testing.assert_close(model(regions, mask).logits, model(other, mask).logits)
    alone = model(regions[:1, :3], torch.ones(1, 3)).logits
    torch.testing.assert_close(model(regions, mask).logits[:1], alone)
    assert not torch.allclose(model(regions, mask).logits[1], model(other.flip(1), mask).logits[0])


def test_a_picture_without_regions_has_the_shares_of_all_and_teaches_the_reader_nothing() -> None:
    model = model_of()
    mask = torch.tensor([[0, 0], [1, 1]])
    found = model(torch.randn(2, 2, 8), mask)
    torch.testing.assert_close(torch.sigmoid(found.logits[0]), torch.full((3,), 0.3))
    words_loss(SequenceClassifierOutput(logits=found.logits[:1]), torch.ones(1, 3)).backward()
    assert all(bool((weight.grad == 0).all()) for weight in model.reader.parameters())


@torch.no_grad()
def test_a_picture_none_of_whose_regions_says_a_thing_has_the_shares_of_all() -> None:
    model = model_of()
    for parameter in model.reader.parameters():
        parameter.zero_()
    chances = torch.sigmoid(model(torch.randn(1, 5, 8), torch.ones(1, 5)).logits)
    torch.testing.assert_close(chances, torch.full((1, 3), 0.3))


def test_the_loss_by_hand() -> None:
    class Output:
        logits = torch.tensor([[0.0, 0.0], [0.0, 0.0]])

    torch.testing.assert_close(words_loss(Output, torch.tensor([[1.0, 0.5], [0, 0]])), torch.tensor(2 * 0.6931472))
