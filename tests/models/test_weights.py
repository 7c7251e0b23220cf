"""Weights in one file or in shards, and what is missing or damaged."""

import hashlib
import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from emocap.errors import EmocapError
from emocap.weights import read_weights, snapshot, weights_digest, weights_file, weights_files

from ..tiny_bert import TINY

INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """A masked language model as transformers saves it in shards."""
    folder = tmp_path_factory.mktemp("sharded")
    torch.manual_seed(0)
    config = transformers.BertConfig(**{key: value for key, value in TINY.items() if key != "model_type"})
    transformers.BertForMaskedLM(config).save_pretrained(folder, max_shard_size="20KB")
    return folder


@pytest.fixture
def folder(sharded, tmp_path):
    return shutil.copytree(sharded, tmp_path / "copy")


def edit_index(folder, **changes: str) -> None:
    values = json.loads((folder / INDEX).read_text())
    values["weight_map"].update(changes)
    (folder / INDEX).write_text(json.dumps(values))


def test_shards_hold_what_one_file_holds(sharded, tmp_path) -> None:
    transformers.BertForMaskedLM.from_pretrained(sharded).save_pretrained(tmp_path)
    whole, shards = read_weights(tmp_path), read_weights(sharded)
    assert len(weights_files(sharded)) > 3
    assert whole.keys() == shards.keys()
    assert all(torch.equal(whole[name], tensor) for name, tensor in shards.items())


def test_reads_shards_of_torch(tiny_bert, tmp_path) -> None:
    tensors = load_file(tiny_bert / "model.safetensors")
    names = sorted(tensors)
    parts = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    for file, part in parts.items():
        torch.save({name: tensors[name] for name in part}, tmp_path / file)
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert read_weights(tmp_path).keys() == tensors.keys()


def test_digest_depends_on_every_shard(folder, tiny_bert) -> None:
    single = hashlib.sha256((tiny_bert / "model.safetensors").read_bytes()).hexdigest()
    assert weights_digest(tiny_bert) == single
    before = weights_digest(folder)
    for file in weights_files(folder):
        data = file.read_bytes()
        file.write_bytes(data + b" ")
        assert weights_digest(folder) != before
        file.write_bytes(data)
    assert weights_digest(folder) == before


def test_refuses_a_missing_shard(folder) -> None:
    weights_files(folder)[2].unlink()
    with pytest.raises(EmocapError, match=r"index\.json: 1 of \d+ shards are missing \(model-00002-of-") as error:
        read_weights(folder)
    assert "\n" not in str(error.value)


def test_refuses_an_index_that_disagrees(folder) -> None:
    last = weights_files(folder)[-1].name
    edit_index(folder, **{"bert.embeddings.LayerNorm.bias": last})
    with pytest.raises(
        EmocapError, match=rf"{last}: holds no bert\.embeddings\.LayerNorm\.bias, which {INDEX} expects"
    ):
        read_weights(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"index\.json: not valid JSON"),
        ("[]", r"index\.json: has no weight_map"),
        (
            '{"weight_map": {"a": "../b.safetensors"}}',
            r"weight_map names '\.\./b\.safetensors', expected a file of the",
        ),
    ],
)
def test_refuses_a_damaged_index(folder, text: str, message: str) -> None:
    (folder / INDEX).write_text(text)
    with pytest.raises(EmocapError, match=message):
        weights_files(folder)


def test_takes_a_repeated_tensor_from_its_shard(folder) -> None:
    first, second = weights_files(folder)[1:3]
    name = next(iter(load_file(first)))
    changed = load_file(second) | {name: torch.full_like(load_file(first)[name], 7)}
    save_file(changed, second)
    assert torch.equal(read_weights(folder)[name], load_file(first)[name])


def test_one_file_is_preferred_to_shards(folder, tiny_bert) -> None:
    shutil.copy(tiny_bert / "model.safetensors", folder)
    assert weights_files(folder) == [folder / "model.safetensors"]
    assert weights_file(folder) == folder / "model.safetensors"


def test_one_file_is_required_where_asked(sharded) -> None:
    with pytest.raises(EmocapError, match="weights in shards are not read here"):
        weights_file(sharded)


def test_names_weights_of_other_formats(tmp_path) -> None:
    (tmp_path / "tf_model.h5").write_bytes(b"")
    with pytest.raises(EmocapError, match=r"holds none of .*, only tf_model\.h5; save the model there"):
        weights_files(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_names_a_pointer_of_git_lfs(tmp_path, name: str) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(EmocapError, match=rf"{name}: a pointer of Git LFS"):
        read_weights(tmp_path)


def test_refuses_a_file_of_more_than_weights(tmp_path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}, "epoch": 3}, tmp_path / "pytorch_model.bin")
    with pytest.raises(EmocapError, match="holds more than named tensors"):
        read_weights(tmp_path)


@pytest.mark.parametrize("complete", [True, False])
def test_cache_without_a_shard_is_incomplete(folder, monkeypatch, complete: bool) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *arguments, **options: str(folder))
    if complete:
        assert snapshot("owner/large", ["*"]) == folder
    else:
        weights_files(folder)[-1].unlink()
        with pytest.raises(EmocapError, match="not in the hub's cache"):
            snapshot("owner/large", ["*"])
