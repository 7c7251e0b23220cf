"""The captioner at work: guidance, forbidden tokens, the likeliest words, draws by seed, and how words are joined."""

import numpy as np
import pytest
import torch

from emocap.captioning.data import Prompts
from emocap.captioning.generation import CaptionGenerator, in_batches, joined
from emocap.captioning.model import build_captioner
from emocap.training.checkpoint import load_tokenizer

LABELS = ["happy", "sad", "awe"]


@pytest.fixture
def writer(tiny_bert, tiny_model) -> CaptionGenerator:
    """An untrained captioner whose words depend strongly on the emotion."""
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


def test_guidance_of_nothing_leaves_the_emotion_out_and_of_one_is_as_learnt(writer, features) -> None:
    wanted, none = [[0], [1], [0]], [[], [], []]
    plain, asked = writer.write(features, none, beams=1), writer.write(features, wanted, beams=1)
    assert asked != plain, "the emotion changes what is written"
    assert writer.write(features, wanted, guidance=0.0, beams=1) == plain
    assert writer.write(features, wanted, guidance=1.0, beams=1) == asked
    nearly = writer.write(features, wanted, guidance=1.0 + 1e-6, beams=1)
    assert nearly == asked, "by way of the guided words, too"


def test_more_guidance_makes_a_caption_likelier_for_the_emotion_than_without(writer, features) -> None:
    def gain(guidance):
        found = writer.write(features, [[1]] * 3, n=4, guidance=guidance, seed=1)
        ratios = []
        for picture, captions in zip(features, found, strict=True):
            for caption in captions:
                ids = torch.tensor([writer.tokenizer(caption)["input_ids"]])
                told = [_log_probability(writer, picture, emotions, ids) for emotions in ([1], [])]
                ratios.append(told[0] - told[1])
        return np.mean(ratios)

    assert gain(0.0) < gain(1.0) < gain(4.0)


def _log_probability(writer, picture, emotions, ids) -> float:
    states, mask = writer._encoded([picture], [emotions])
    with torch.inference_mode():
        logits = writer.model(encoder_outputs=(states,), attention_mask=mask, decoder_input_ids=ids[:, :-1]).logits
    return torch.log_softmax(logits, -1)[0].gather(1, ids[0, 1:, None]).sum().item()


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_special_tokens_are_never_written(writer, features, guidance) -> None:
    unknown = writer.tokenizer.unk_token_id
    with torch.no_grad():
        writer.model.decoder.cls.predictions.bias[unknown] = 1e4  # it would write nothing else
    found = writer.write(features, [[0]] * 3, n=5, guidance=guidance)
    assert all("unk" not in caption.lower() for captions in found for caption in captions)
    assert any(caption for captions in found for caption in captions)


def test_the_likeliest_words_alone_leave_nothing_to_chance(writer, features) -> None:
    narrow = writer.write(features, [[0]] * 3, n=4, top_p=1e-6)
    assert all(len(set(captions)) == 1 for captions in narrow)
    wide = writer.write(features, [[0]] * 3, n=4, top_p=1.0)
    assert any(len(set(captions)) > 1 for captions in wide)


def test_draws_depend_on_the_seed_and_leave_the_generator_alone(writer, features) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = writer.write(features, [[0]] * 3, n=3, top_p=1.0, seed=1)
    assert torch.equal(torch.rand(1), expected)
    assert writer.write(features, [[0]] * 3, n=3, top_p=1.0, seed=1) == one
    assert writer.write(features, [[0]] * 3, n=3, top_p=1.0, seed=2) != one


def test_one_picture_for_all_captions_is_the_same_as_each_with_its_own(writer, features) -> None:
    captions = ["the child sits", "a dog runs alone by the sea"]
    np.testing.assert_allclose(
        writer.likelihood(features[:1], captions), writer.likelihood([features[0]] * 2, captions), atol=1e-5
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
def test_words_are_joined_as_people_write_them(words, expected) -> None:
    assert joined(words) == expected


def test_batches_hold_every_row_once() -> None:
    rows = list(range(7))
    assert [rows[part] for part in in_batches(7, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
