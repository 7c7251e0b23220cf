"""What `prepare` checks of a backbone before anything is computed with it, and what makes it run again."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from emocap.errors import EmocapError
from emocap.models.backbones import backbone_files
from emocap.study.config.loading import load_config
from emocap.study.stages.backbones import resolve_backbone
from emocap.weights import weights_digest


@pytest.fixture
def folder(tiny_bert, tmp_path):
    """A copy of the tiny BERT's folder."""
    return shutil.copytree(tiny_bert, tmp_path / "copy")


@pytest.fixture
def resolve(tiny_study):
    """Resolves the backbone of a study that starts from this folder."""

    def resolved(folder):
        config = load_config(tiny_study(model={"backbone": str(folder), "max_length": 16}))
        return resolve_backbone(config)

    return resolved


def test_records_the_hash_of_the_weights(folder, resolve) -> None:
    assert resolve(folder) == {"name": str(folder), "sha256": weights_digest(folder), "n_layers": 3}


def test_refuses_a_tokenizer_that_is_too_large(folder, resolve) -> None:
    with (folder / "vocab.txt").open("a") as file:
        file.write("unseen\n")
    with pytest.raises(EmocapError, match=r"'unseen' \(id 42\) has no embedding"):
        resolve(folder)


def test_refuses_weights_that_do_not_match(folder, resolve) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {"adapter.weight": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(EmocapError, match=r"1 tensors unexpected \(adapter\.weight\)"):
        resolve(folder)


def test_tokenizer_is_among_the_files_read(folder) -> None:
    names = {file.name for file in backbone_files(str(folder))}
    assert names == {"config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"}
    assert backbone_files("offline") == backbone_files("owner/name") == []
