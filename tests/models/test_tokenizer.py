"""Tokenizers that fit their model's embeddings or not, and embeddings padded beyond them."""

import json
import shutil

import pytest
import torch
import transformers

from emocap.errors import EmocapError
from emocap.models.backbones import find_backbone
from emocap.models.initialisation import build_config, load_backbone
from emocap.models.tokenizer import require_fitting_tokenizer
from emocap.training.checkpoint import ModelCard, load_model, load_tokenizer, save_model

from ..tiny_bert import TINY

N = TINY["vocab_size"]


@pytest.fixture
def folder(tiny_bert, tmp_path):
    """A copy of the tiny BERT's folder."""
    return shutil.copytree(tiny_bert, tmp_path / "copy")


def with_rows(folder, rows: int) -> None:
    """Give the folder a model whose word embeddings have that many rows."""
    settings = {key: value for key, value in TINY.items() if key != "model_type"}
    transformers.BertModel(transformers.BertConfig(**settings | {"vocab_size": rows})).save_pretrained(folder)


def check(folder) -> None:
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    require_fitting_tokenizer(load_tokenizer(folder), folder, rows)


@pytest.mark.parametrize(("rows", "added"), [(N, 0), (N + 6, 0), (64, 0), (128, 3), (N + 3, 3)])
def test_padded_model_trains_saves_loads_and_answers(folder, vocabulary, tmp_path, rows: int, added: int) -> None:
    if added:
        tokens = {f"<e{number}>": N + number for number in range(added)}
        (folder / "added_tokens.json").write_text(json.dumps(tokens))
    with_rows(folder, rows)
    check(folder)
    model, _ = load_backbone(build_config(folder, vocabulary, pooling="mean", visual_token_type=0), folder)
    tokenizer = load_tokenizer(folder)
    batch = tokenizer(["a dog <e0>"], return_tensors="pt", return_token_type_ids=False)
    model(**batch, labels=torch.ones(1, 3)).loss.backward()
    save_model(
        tmp_path / "saved", model.eval(), tokenizer, ModelCard(list(vocabulary.labels), vocabulary.hash, 16, None, "x")
    )
    saved = load_model(tmp_path / "saved")
    assert len(saved.tokenizer) == N + added
    again = saved.tokenizer(["a dog <e0>"], return_tensors="pt", return_token_type_ids=False)
    assert torch.equal(saved.model(**again).logits, model(**batch).logits)


def test_saved_padded_model_needs_its_tokenizer(folder, vocabulary, tmp_path) -> None:
    with_rows(folder, 64)
    model, _ = load_backbone(build_config(folder, vocabulary, pooling="mean", visual_token_type=0), folder)
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 16, None, "x")
    save_model(tmp_path / "saved", model, load_tokenizer(folder), card)
    other = load_tokenizer(folder)
    other.add_tokens(["<other>"])
    other.save_pretrained(tmp_path / "saved")
    with pytest.raises(EmocapError, match=f"the tokenizer has {N + 1} tokens, the model {N}"):
        load_model(tmp_path / "saved")


@pytest.mark.parametrize("added", [{}, {"<e>": N}])
def test_refuses_a_tokenizer_larger_than_the_embeddings(folder, added) -> None:
    (folder / "added_tokens.json").write_text(json.dumps(added))
    with_rows(folder, N + len(added) - 1)
    last = "<e>" if added else "celebrates"
    with pytest.raises(
        EmocapError, match=rf"has {N + len(added)} tokens, the model's vocabulary .* {last!r} \(id"
    ) as e:
        check(folder)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("token", ["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
def test_refuses_a_tokenizer_without_special_tokens(folder, token: str) -> None:
    path = folder / "vocab.txt"
    path.write_text(path.read_text().replace(f"{token}\n", ""))
    with_rows(folder, 64)  # so that the token that the library adds has a row, which was never trained
    with pytest.raises(EmocapError, match=rf"the tokenizer has no \{token}"):
        check(folder)


@pytest.mark.parametrize("fast", [False, True])
def test_refuses_ids_that_the_files_do_not_give(folder, fast: bool) -> None:
    if fast:
        load_tokenizer(folder).save_pretrained(folder)
        values = json.loads((folder / "tokenizer.json").read_text())
        values["added_tokens"].append(values["added_tokens"][0] | {"id": N + 5, "content": "<e>"})
        (folder / "tokenizer.json").write_text(json.dumps(values))
    else:
        (folder / "added_tokens.json").write_text(json.dumps({"<e>": N + 5}))
    with_rows(folder, 64)
    with pytest.raises(EmocapError, match=rf"1 tokens other ids .* \('<e>' {N} instead of {N + 5}\)"):
        check(folder)


def test_refuses_a_tokenizer_of_another_class(folder) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"}))
    with pytest.raises(EmocapError, match=r"tokenizer.* tokenizer_config\.json"):
        check(folder)


def test_refuses_a_tokenizer_that_marks_no_text(folder) -> None:
    tokenizer = load_tokenizer(folder)
    tokenizer.save_pretrained(folder)
    values = json.loads((folder / "tokenizer.json").read_text()) | {"post_processor": None}
    (folder / "tokenizer.json").write_text(json.dumps(values))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    with pytest.raises(EmocapError, match=r"does not place \[CLS\] and \[SEP\] around a text"):
        check(folder)


def test_warns_of_many_unused_rows(folder, caplog) -> None:
    with_rows(folder, N + 127)
    check(folder)
    assert caplog.text == ""
    with_rows(folder, N + 128)
    check(folder)
    assert f"has {N} tokens, the model's vocabulary {N + 128}; check that it is the model's own" in caplog.text


def test_accepts_special_tokens_of_other_names(folder) -> None:
    words = ["<s>", "<pad>", "</s>", "<unk>", "▁a", "▁dog", "<mask>"]
    tokenizer = transformers.XLMRobertaTokenizer(vocab=[(word, -1.0) for word in words])
    (folder / "vocab.txt").unlink()
    tokenizer.save_pretrained(folder)
    with_rows(folder, len(tokenizer) + 35)
    check(folder)


@pytest.mark.parametrize("blank", ["\n\n", ""])
def test_accepts_line_ends_of_other_systems(folder, blank: str) -> None:
    path = folder / "vocab.txt"
    path.write_bytes((path.read_text() + blank).replace("\n", "\r\n").encode())
    check(folder)


@pytest.mark.parametrize(("model_type", "rows"), [("bert", 30522), ("bert", N), ("visual_bert", N)])
def test_refuses_a_folder_without_tokenizer(folder, model_type: str, rows: int) -> None:
    (folder / "vocab.txt").unlink()
    (folder / "config.json").write_text(json.dumps(TINY | {"model_type": model_type, "vocab_size": rows}))
    with pytest.raises(EmocapError, match=r"contains no tokenizer \(tokenizer\.json or vocab\.txt\); save the model's"):
        find_backbone(str(folder))


def test_published_visualbert_takes_the_tokenizer_of_bert(folder, monkeypatch, tiny_bert, caplog) -> None:
    monkeypatch.setattr("emocap.models.backbones._bert_tokenizer", lambda: tiny_bert)
    (folder / "vocab.txt").unlink()
    (folder / "config.json").write_text(json.dumps(TINY | {"model_type": "visual_bert", "vocab_size": 30522}))
    with caplog.at_level("INFO", logger="emocap"):
        assert find_backbone(str(folder)).tokenizer_folder == tiny_bert
    assert "a VisualBERT without a tokenizer; that of google-bert/bert-base-uncased is used" in caplog.text
