"""A light captioner over the tokens of its captions: its loss, what it generates, and what it learns of conditions."""

from functools import partial

import numpy as np
import pytest
import torch

from emocap.captioning import generation
from emocap.captioning.caption_tokens import CaptionTokens, tokens_of_captions
from emocap.captioning.checkpoint import CaptionerCard, load_captioner, save_captioner
from emocap.captioning.data import CaptionDataset, caption_loss, contrastive_loss
from emocap.captioning.generation import CaptionGenerator
from emocap.captioning.guidance import ClassifierFreeGuidance
from emocap.captioning.light_encoder import MAX_POSITIONS, build_light_encoder
from emocap.captioning.model import VisualBertForCaptioning, build_captioner
from emocap.captioning.prompts import Prompts
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.training.checkpoint import load_tokenizer
from emocap.training.settings import TrainSettings
from emocap.training.train import train

LABELS, STYLES = ["happy", "sad"], ["humorous", "romantic"]
# each image has a caption for each emotion and style; only the conditions tell which
WORDS = {"happy": "celebrates", "sad": "lost", "humorous": "party", "romantic": "night"}
SUBJECTS = ["dog", "cat", "child", "boat"]


def light_captioner(tiny_model, tokenizer, kept=None, *, copy_layers=False, styles=STYLES):
    tokens = CaptionTokens(tokenizer, kept)
    backbone = tiny_model.visualbert
    encoder = build_light_encoder(backbone, tokenizer, [*LABELS, *styles], 8, layers=1, dropout=0.0, seed=0)
    return build_captioner(
        encoder, backbone, tokens, layers=2, seed=0, copy_layers=copy_layers, dropout=0.0, kept=kept
    ), tokens


def regions_of(subject: int) -> np.ndarray:
    return np.random.default_rng(subject).standard_normal((3, 8)).astype(np.float16)


@pytest.fixture
def tokenizer(tiny_bert):
    return load_tokenizer(tiny_bert)


def corpus(tokens, *, targets=None, drop=0.25, contrasted=False):
    rows = [(number, emotion, style) for number in range(4) for emotion in range(2) for style in range(2)]
    captions = [
        f"the {SUBJECTS[number]} {WORDS[LABELS[emotion]]} at {WORDS[STYLES[style]]}" for number, emotion, style in rows
    ]
    own = np.eye(2, dtype=np.float32)[[emotion for _, emotion, _ in rows]]
    store = {str(number): (regions_of(number),) for number in range(4)}
    return CaptionDataset(
        tokens.encode(captions, 12), [str(number) for number, _, _ in rows], own if targets is None else targets,
        Prompts.numbered(LABELS, STYLES), store, drop, styles=[STYLES[style] for _, _, style in rows],
        contrasted=contrasted,
    )  # fmt: skip


def fit(model, data, loss=caption_loss, steps=80):
    optimizer = torch.optim.AdamW(model.parameters(), 4e-3)
    model.train()
    for step in range(steps):
        batch = data.collate([step * len(data) + row for row in range(len(data))])
        labels = batch.pop("labels")
        optimizer.zero_grad()
        loss(model(**batch), labels).backward()
        optimizer.step()
    return model


@pytest.fixture(scope="module")
def trained():
    return {}


@pytest.fixture
def generator(trained, tiny_model, tokenizer):
    """A captioner that has learnt the corpus, shared by the tests of this module."""
    if "generator" not in trained:
        captions = [f"the {subject} {' '.join(WORDS.values())} at" for subject in SUBJECTS]
        model, tokens = light_captioner(tiny_model, tokenizer, tokens_of_captions(captions, tokenizer, 16))
        fit(model, corpus(tokens))
        trained["generator"] = CaptionGenerator(
            model, tokenizer, Prompts.numbered(LABELS, STYLES), 12, torch.device("cpu")
        )
    return trained["generator"]


FEATURES = [regions_of(number) for number in range(4)]


def share_of(captions, word):
    return np.mean([word in caption.lower().split() for (caption,) in captions])


def test_learns_the_words_of_emotions_and_styles(generator):
    for index, emotion in enumerate(LABELS):
        for style in STYLES:
            captions = generator.generate(FEATURES, [[index]] * 4, [style] * 4, beams=2)
            assert share_of(captions, WORDS[emotion]) == share_of(captions, WORDS[style]) == 1
            assert sum(subject in caption for (caption,), subject in zip(captions, SUBJECTS, strict=True)) >= 3


def test_requested_words_are_likelier_than_unrequested(generator):
    plain = generator.generate(FEATURES, [[]] * 4, n=20, seed=1)
    share = np.mean(["lost" in caption.lower() for own in plain for caption in own])
    assert 0.2 < share < 0.8, "without an emotion both occur"
    asked = generator.generate(FEATURES, [[1]] * 4, n=20, seed=1)
    assert np.mean(["lost" in caption.lower() for own in asked for caption in own]) > 0.9


def test_style_guidance_0_ignores_the_style(generator):
    options = {"beams": 2}
    styled = generator.generate(FEATURES, [[0]] * 4, ["romantic"] * 4, style_guidance=0.0, **options)
    assert styled == generator.generate(FEATURES, [[0]] * 4, **options)
    assert styled == generator.generate(FEATURES, [[0]] * 4, ["humorous"] * 4, style_guidance=0.0, **options)


def test_guidance_ends_after_its_steps(generator):
    """Without emotions from the first token on, the first word is the plain one; later words follow the emotion."""
    requested = [[1]] * 4
    none_guided = generator.generate(FEATURES, requested, guidance=0.0, guidance_steps=1, beams=1)
    assert share_of(none_guided, "lost") == 1, "the emotion's word comes later than the first"
    all_guided = generator.generate(FEATURES, requested, guidance=0.0, beams=1)
    assert all_guided == generator.generate(FEATURES, [[]] * 4, beams=1)


def test_cache_of_guidance_follows_the_beams(generator, monkeypatch):
    """Captions equal those whose unconditional states are computed anew for every token."""

    class WithoutCache(ClassifierFreeGuidance):
        def __call__(self, input_ids, scores):
            self._prefix = None
            return super().__call__(input_ids, scores)

    orders, reorder = [], ClassifierFreeGuidance._reorder_cache
    monkeypatch.setattr(ClassifierFreeGuidance, "_reorder_cache", lambda *args: orders.append(1) or reorder(*args))
    options = {"guidance": 3.0, "style_guidance": 2.0, "beams": 4, "n": 4}
    asked = [[1], [0], [], [1]], ["romantic", None, "humorous", "humorous"]
    cached = generator.generate(FEATURES, *asked, **options)
    assert orders
    monkeypatch.setattr(generation, "ClassifierFreeGuidance", WithoutCache)
    assert generator.generate(FEATURES, *asked, **options) == cached


def test_unknown_style_is_refused_with_the_known(generator, tiny_model, tokenizer):
    with pytest.raises(EmocapError, match="style is 'noir', expected one of humorous, romantic"):
        generator.generate(FEATURES, [[0]] * 4, ["noir"] * 4)
    with pytest.raises(EmocapError, match="style is 'noir', but the captioner knows no styles"):
        Prompts.numbered(LABELS).style_index("noir")


def test_length_penalty_lengthens_captions(generator):
    with torch.no_grad():
        lengths = [
            np.mean([len(caption) for (caption,) in generator.generate(FEATURES, [[]] * 4, beams=4, length_penalty=p)])
            for p in (-8.0, 8.0)
        ]
    assert lengths[0] < lengths[1]


@pytest.mark.parametrize("copy_layers", [False, True])
def test_own_tokens_give_the_loss_of_masking_others(tiny_model, tokenizer, copy_layers):
    captions = ["the dog celebrates", "a cat is lost at night"]
    kept = tokens_of_captions(captions, tokenizer, 12)
    full, all_tokens = light_captioner(tiny_model, tokenizer, copy_layers=copy_layers)
    small, tokens = light_captioner(tiny_model, tokenizer, kept, copy_layers=copy_layers)
    whole = full.eval().state_dict()
    n_all = len(full.decoder.get_input_embeddings().weight)
    same = {
        name: value[torch.as_tensor(kept)] if value.ndim and len(value) == n_all else value
        for name, value in whole.items()
    }
    missing, unexpected = small.load_state_dict(same, strict=False)
    assert (missing, unexpected) == (["kept_tokens"], [])
    losses = []
    for model, own in ((small.eval(), tokens), (full, all_tokens)):
        data = CaptionDataset(
            own.encode(captions, 12), ["a", "a"], np.eye(2, dtype=np.float32), Prompts.numbered(LABELS, STYLES),
            {"a": (regions_of(0),)}, 0.0,
        )  # fmt: skip
        batch = data.collate([0, 1])
        labels = batch.pop("labels")
        with torch.inference_mode():
            outputs = model(**batch)
        logits = outputs.logits.clone()
        if model is full:
            logits[..., np.setdiff1d(np.arange(logits.shape[-1]), kept)] = -torch.inf
        losses.append(caption_loss(_Output(logits), labels).item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_generates_no_other_tokens(tiny_model, tokenizer):
    kept = tokens_of_captions(["the dog celebrates"], tokenizer, 12)
    model, _ = light_captioner(tiny_model, tokenizer, kept)
    generator = CaptionGenerator(model, tokenizer, Prompts.numbered(LABELS, STYLES), 12, torch.device("cpu"))
    captions = generator.generate(FEATURES, [[0]] * 4, n=20, top_p=1.0)
    words = {word for own in captions for caption in own for word in caption.lower().split()}
    assert words == {"the", "dog", "celebrates"}
    assert np.isfinite(generator.mean_log_likelihood(FEATURES[:1], ["a cat is lost", "the dog"])).all()


def test_unknown_tokens_are_read_as_unknown(tokenizer):
    kept = tokens_of_captions(["the dog"], tokenizer, 12)
    tokens = CaptionTokens(tokenizer, kept)
    known, unknown = tokens.encode(["the dog", "the cat"], 12)
    assert tokens.decode(known) == "the dog"
    assert kept[unknown[2]] == tokenizer.unk_token_id
    assert tokens.decode(unknown) == "the"


def test_saved_captioner_keeps_its_tokens(generator, tmp_path):
    generator.model.save_pretrained(tmp_path)
    loaded = VisualBertForCaptioning.from_pretrained(tmp_path).eval()
    assert torch.equal(loaded.kept_tokens, generator.model.kept_tokens)
    again = CaptionGenerator(loaded, generator.tokens.tokenizer, generator.prompts, 12, torch.device("cpu"))
    assert again.generate(FEATURES, [[1]] * 4, beams=2) == generator.generate(FEATURES, [[1]] * 4, beams=2)


@torch.inference_mode()
def test_padding_of_regions_changes_nothing(tiny_model, tokenizer):
    model, _ = light_captioner(tiny_model, tokenizer)
    batch = Prompts.numbered(LABELS, STYLES).batch([[0, 2]])
    regions = torch.as_tensor(regions_of(0)).float()[None]
    states, mask = model.eval().encode(**batch, visual_embeds=regions, visual_attention_mask=torch.ones(1, 3))
    padded = torch.cat([regions, torch.full((1, 2, 8), 9.0)], dim=1)
    more, more_mask = model.encode(**batch, visual_embeds=padded, visual_attention_mask=torch.tensor([[1, 1, 1, 0, 0]]))
    torch.testing.assert_close(more[:, : states.shape[1]], states, atol=1e-5, rtol=0)
    assert more_mask.sum() == mask.sum()
    swapped, _ = model.encode(**batch, visual_embeds=regions.flip(1))
    assert not torch.allclose(swapped, states, atol=1e-3), "a region's place counts"


@torch.inference_mode()
def test_more_regions_than_positions_are_read(tiny_model, tokenizer):
    model, _ = light_captioner(tiny_model, tokenizer)
    batch = Prompts.numbered(LABELS, STYLES).batch([[]])
    states, _ = model.encode(**batch, visual_embeds=torch.randn(1, MAX_POSITIONS + 5, 8))
    assert states.shape[1] == MAX_POSITIONS + 7
    states, _ = model.encode(**batch)
    assert states.shape[1] == 2, "captions alone"


def test_contrast_separates_conditions_further(tiny_model, tokenizer):
    """How much likelier captions are under their own conditions than under those of another caption of the image."""
    margins = []
    for weight in (0.0, 3.0):
        model, tokens = light_captioner(tiny_model, tokenizer)
        data = corpus(tokens, contrasted=True, drop=0.05)
        fit(model, data, lambda outputs, labels, w=weight: contrastive_loss(outputs, labels, w), steps=12)
        batch = data.collate(range(len(data)))
        labels = batch.pop("labels")
        with torch.inference_mode():
            logits = model.eval()(**batch).logits
        margins.append(
            contrastive_loss(_Output(logits), labels, 1.0).item()
            - contrastive_loss(_Output(logits), labels, 0.0).item()
        )
    assert margins[1] < margins[0]


class _Output:
    def __init__(self, logits):
        self.logits = logits


def test_contrastive_loss_by_hand():
    """One caption of one token: likelihood 0.8 under its own conditions, 0.2 under the other."""
    logits = torch.log(torch.tensor([[[0.8, 0.2]], [[0.2, 0.8]]]))
    labels = torch.tensor([[0], [0]])
    expected = -np.log(0.8) - 2 * np.log(0.8 / (0.8 + 0.2))
    assert contrastive_loss(_Output(logits), labels, 2.0).item() == pytest.approx(expected, abs=1e-5)
    labels[1] = -100
    assert contrastive_loss(_Output(logits), labels, 2.0).item() == pytest.approx(-np.log(0.8), abs=1e-5)


def test_contrasted_conditions_are_of_the_same_image(tiny_model, tokenizer):
    _, tokens = light_captioner(tiny_model, tokenizer)
    data = corpus(tokens, contrasted=True, drop=0.0)
    batch = data.collate([0, 5])
    assert len(batch["labels"]) == len(batch["visual_embeds"]) == 4
    assert torch.equal(batch["visual_embeds"][:2], batch["visual_embeds"][2:])
    assert torch.equal(batch["decoder_input_ids"][:2], batch["decoder_input_ids"][2:])
    assert not torch.equal(batch["input_ids"][:2], batch["input_ids"][2:])


def test_styles_are_dropped_like_emotions(tiny_model, tokenizer):
    _, tokens = light_captioner(tiny_model, tokenizer)
    data = corpus(tokens, drop=0.2)
    samples = [data.sample_conditions(item * len(data)) for item in range(2000)]
    share = {
        name: np.mean([set(sample) == kept for sample in samples])
        for name, kept in (("none", set()), ("style", {2}), ("emotion", {0}), ("both", {0, 2}))
    }
    # both are dropped with 0.2; of the others each alone with 0.2
    assert share["none"] == pytest.approx(0.2 + 0.8 * 0.04, abs=0.03)
    assert (share["style"], share["emotion"]) == pytest.approx((0.128, 0.128), abs=0.03)
    assert share["both"] == pytest.approx(0.8 * 0.64, abs=0.04)


class Killed(Exception):
    pass


def test_resumed_training_equals_uninterrupted_training(tiny_model, tokenizer, tmp_path):
    """Killed within an epoch, with styles and contrasted conditions."""
    settings = TrainSettings(
        epochs=2, learning_rate=3e-3, head_learning_rate=3e-3, batch_size=4, select_by=None, save_steps=2
    )

    def fit(folder, dies_at=None):
        model, tokens = light_captioner(tiny_model, tokenizer)
        data, calls = corpus(tokens, contrasted=True), 0

        def collate(items):
            nonlocal calls
            calls += 1
            if calls == dies_at:
                raise Killed
            return data.collate(items)

        train(
            model, data, None, settings, tmp_path / folder, name="captioner", seed=0, metrics=None, collate=collate,
            lengths=data.lengths, loss=partial(contrastive_loss, weight=1.0, label_smoothing=0.1),
            numbered_by_epoch=True,
        )  # fmt: skip
        return model.state_dict()

    unbroken = fit("whole")
    with pytest.raises(Killed):
        fit("broken", dies_at=6)
    torch.manual_seed(99)
    resumed = fit("broken")
    assert all(torch.equal(value, resumed[name]) for name, value in unbroken.items())


@pytest.mark.parametrize("styles", [STYLES[:1], [*STYLES, "gothic"]])
def test_folder_with_other_styles_is_refused(tiny_model, tokenizer, tmp_path, styles):
    model, _ = light_captioner(tiny_model, tokenizer)
    card = CaptionerCard(LABELS, Vocabulary(tuple(LABELS)).hash, 12, None, styles=styles)
    save_captioner(tmp_path / "model", model, tokenizer, card)
    message = f"names {2 + len(styles)} emotions and styles, but the model reads 4; restore the file"
    with pytest.raises(EmocapError, match=message):
        load_captioner(tmp_path / "model")
