"""Generation: guidance, suppressed tokens, nucleus sampling, seeds, and detokenization."""

import numpy as np
import pytest
import torch

from emocap.captioning.generation import CaptionGenerator, batch_slices, detokenize
from emocap.captioning.model import build_captioner
from emocap.captioning.prompts import Prompts
from emocap.training.checkpoint import load_tokenizer

LABELS = ["happy", "sad", "awe"]


@pytest.fixture
def generator(tiny_bert, tiny_model) -> CaptionGenerator:
    """An untrained captioner whose output depends strongly on the emotion."""
    tokenizer = load_tokenizer(tiny_bert)
    model = build_captioner(tiny_model.visualbert, tiny_model.visualbert, tokenizer, layers=1, seed=0)
    with torch.no_grad():
        for layer in model.decoder.bert.encoder.layer:
            layer.crossattention.output.dense.weight.mul_(60.0)
        model.decoder.cls.predictions.transform.dense.weight.mul_(20.0)
    return CaptionGenerator(model, tokenizer, Prompts.of(LABELS, tokenizer), 10, torch.device("cpu"))


@pytest.fixture
def features():
    return [np.random.default_rng(row).standard_normal((2, 8)).astype(np.float16) for row in range(3)]


def test_guidance_0_ignores_emotions_and_1_changes_nothing(generator, features) -> None:
    emotions, none = [[0], [1], [0]], [[], [], []]
    plain, conditioned = generator.generate(features, none, beams=1), generator.generate(features, emotions, beams=1)
    assert conditioned != plain, "the emotion changes the captions"
    assert generator.generate(features, emotions, guidance=0.0, beams=1) == plain
    assert generator.generate(features, emotions, guidance=1.0, beams=1) == conditioned
    nearly = generator.generate(features, emotions, guidance=1.0 + 1e-6, beams=1)
    assert nearly == conditioned, "also through the guidance processor"


def test_guidance_raises_likelihood_ratio_of_the_emotion(generator, features) -> None:
    def gain(guidance):
        generated = generator.generate(features, [[1]] * 3, n=4, guidance=guidance, seed=1)
        ratios = []
        for regions, captions in zip(features, generated, strict=True):
            for caption in captions:
                ids = torch.tensor([generator.tokens.tokenizer(caption)["input_ids"]])
                values = [_log_probability(generator, regions, emotions, ids) for emotions in ([1], [])]
                ratios.append(values[0] - values[1])
        return np.mean(ratios)

    assert gain(0.0) < gain(1.0) < gain(4.0)


def _log_probability(generator, regions, emotions, ids) -> float:
    states, mask = generator._encode([regions], [emotions], [None])
    with torch.inference_mode():
        logits = generator.model(encoder_outputs=(states,), attention_mask=mask, decoder_input_ids=ids[:, :-1]).logits
    return torch.log_softmax(logits, -1)[0].gather(1, ids[0, 1:, None]).sum().item()


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_never_generates_special_tokens(generator, features, guidance) -> None:
    unknown = generator.tokens.tokenizer.unk_token_id
    with torch.no_grad():
        generator.model.decoder.cls.predictions.bias[unknown] = (
            1e4  # without suppression it would generate nothing else
        )
    generated = generator.generate(features, [[0]] * 3, n=5, guidance=guidance)
    assert all("unk" not in caption.lower() for captions in generated for caption in captions)
    assert any(caption for captions in generated for caption in captions)


def test_tiny_top_p_is_deterministic(generator, features) -> None:
    narrow = generator.generate(features, [[0]] * 3, n=4, top_p=1e-6)
    assert all(len(set(captions)) == 1 for captions in narrow)
    wide = generator.generate(features, [[0]] * 3, n=4, top_p=1.0)
    assert any(len(set(captions)) > 1 for captions in wide)


def test_sampling_uses_seed_and_keeps_global_generator(generator, features) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    captions = generator.generate(features, [[0]] * 3, n=3, top_p=1.0, seed=1)
    assert torch.equal(torch.rand(1), expected)
    assert generator.generate(features, [[0]] * 3, n=3, top_p=1.0, seed=1) == captions
    assert generator.generate(features, [[0]] * 3, n=3, top_p=1.0, seed=2) != captions


def test_one_image_for_all_captions_equals_repeated_image(generator, features) -> None:
    captions = ["the child sits", "a dog runs alone by the sea"]
    np.testing.assert_allclose(
        generator.mean_log_likelihood(features[:1], captions),
        generator.mean_log_likelihood([features[0]] * 2, captions),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a dog ' s home", "A dog's home"),
        ("don ' t stop", "Don't stop"),
        ("the hot - air balloon , again .", "The hot-air balloon, again."),
        ("", ""),
        ("who ' s there ?", "Who's there?"),
    ],
)
def test_detokenizes_as_people_write(words, expected) -> None:
    assert detokenize(words) == expected


def test_batches_contain_every_row_once() -> None:
    rows = list(range(7))
    assert [rows[part] for part in batch_slices(7, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
