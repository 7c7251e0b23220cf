"""A compact model folder predicts as the model that it was made of, and refuses another backbone or a damaged file."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from emocap.classifiers import compact, required_backbone
from emocap.classifiers.compact import load_compact, write_compact
from emocap.classifiers.familiarity import Familiarity, fit_captions, fit_images, read_familiarity, write_familiarity
from emocap.classifiers.load import load_classifier
from emocap.classifiers.network import NetworkClassifier
from emocap.classifiers.training_pairs import count_training_pairs, pair_hashes, write_training_pairs
from emocap.errors import EmocapError
from emocap.training.checkpoint import load_model

from .folders import images, write_network

CAPTIONS = ["a dog waits alone at night", "the child celebrates", "storm on the sea", ""]
QUERY = "visualbert.encoder.layer.0.attention.self.query.weight"
KEY = "visualbert.encoder.layer.1.attention.self.key.weight"


@pytest.fixture
def base(tiny_bert, tmp_path):
    """A copy of the backbone, which tests may damage."""
    return shutil.copytree(tiny_bert, tmp_path / "base")


@pytest.fixture
def saved(tiny_model, tiny_bert, tmp_path):
    """A model whose query has changed by a rank of 2, whose key by a full rank, and some vectors."""
    generator = torch.Generator().manual_seed(1)
    weights = tiny_model.state_dict()
    with torch.no_grad():
        left, right = torch.randn(32, 2, generator=generator), torch.randn(2, 32, generator=generator)
        weights[QUERY] += 0.1 * left @ right
        weights[KEY] += 0.05 * torch.randn(32, 32, generator=generator)
        weights["visualbert.encoder.layer.2.output.LayerNorm.bias"] += 0.1
        weights["fc.weight"] += torch.randn(weights["fc.weight"].shape, generator=generator)
    write_network(tmp_path / "whole", tiny_model, tiny_bert, temperature=1.3)
    return load_model(tmp_path / "whole")


def test_predicts_as_the_whole_model(saved, base, tmp_path) -> None:
    report = write_compact(saved, tmp_path / "compact", backbone=str(base), max_rank=32)
    features = [*images(CAPTIONS[:3]), None]
    expected = NetworkClassifier(saved).probabilities(features, CAPTIONS)
    found = load_classifier(tmp_path / "compact").probabilities(features, CAPTIONS)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    weights, restored = saved.model.state_dict(), load_compact(tmp_path / "compact").model.state_dict()
    for name, tensor in weights.items():
        assert float((restored[name] - tensor).norm()) <= 1e-3 * float(tensor.norm()), name
    assert report.worst < 1e-3


def test_stores_only_changes_with_their_rank(saved, base, tmp_path) -> None:
    report = write_compact(saved, tmp_path / "compact", backbone=str(base))
    stored = load_file(tmp_path / "compact" / "updates.safetensors")
    assert report.ranks == {QUERY: 2}
    assert stored[f"{QUERY}.left"].shape == (32, 2)
    assert f"{KEY}.difference" in stored  # two factors of rank 16 are as large
    assert stored["fc.weight.whole"].dtype == torch.float16
    assert not any(name.startswith("visualbert.encoder.layer.1.output") for name in stored)
    assert not (tmp_path / "compact" / "tokenizer.json").exists()
    assert report.n_bytes < 0.5 * sum(file.stat().st_size for file in (tmp_path / "whole").iterdir())


def test_large_new_matrix_is_stored_in_eight_bits(saved, base, tmp_path, monkeypatch) -> None:
    name = "visualbert.embeddings.visual_projection.weight"
    whole = write_compact(saved, tmp_path / "half", backbone=str(base))
    monkeypatch.setattr(compact, "LARGE_MATRIX", 32 * 8)
    report = write_compact(saved, tmp_path / "compact", backbone=str(base))
    assert load_file(tmp_path / "compact" / "updates.safetensors")[f"{name}.whole"].dtype == torch.int8
    assert whole.errors[name] < 5e-4 < report.errors[name] < 1e-2
    features = images(CAPTIONS[:3])
    expected = NetworkClassifier(saved).probabilities(features, CAPTIONS[:3])
    found = load_classifier(tmp_path / "compact").probabilities(features, CAPTIONS[:3])
    np.testing.assert_allclose(found, expected, atol=1e-2)


def test_rank_that_is_too_low_reports_its_error(saved, base, tmp_path) -> None:
    report = write_compact(saved, tmp_path / "compact", backbone=str(base), max_rank=4)
    difference = saved.model.state_dict()[KEY] - load_initial(base, saved)[KEY]
    singular = torch.linalg.svdvals(difference.double())
    best = (singular[4:].square().sum() / singular.square().sum()).sqrt()
    assert report.errors[KEY] == pytest.approx(float(best), rel=1e-3)
    assert report.errors[QUERY] < 1e-3


def load_initial(base, saved) -> dict[str, torch.Tensor]:
    from emocap.models.initialisation import load_backbone

    return load_backbone(saved.model.config, base)[0].state_dict()


def test_familiarity_and_evaluation_go_along(saved, base, tmp_path) -> None:
    signatures = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    captions = [f"{word} {place}" for word in "abcdefghij" for place in map(str, range(20))]
    familiarity = Familiarity(fit_images(signatures), fit_captions(captions, captions))
    write_familiarity(saved.folder, familiarity)
    write_training_pairs(saved.folder, pair_hashes([""], ["A dog."]))
    (saved.folder / "evaluation.json").write_text(json.dumps({"score": 0.3, "model_hash": "0", "files": {"a": "b"}}))
    write_compact(saved, tmp_path / "compact", backbone=str(base))
    found = read_familiarity(tmp_path / "compact")
    np.testing.assert_allclose(found.images.scores(signatures)[0], familiarity.images.scores(signatures)[0], rtol=1e-3)
    assert count_training_pairs(tmp_path / "compact", ["", ""], ["a cat.", "a  dog."]) == 1
    assert found.captions.counts == familiarity.captions.counts
    assert found.captions.limit == pytest.approx(familiarity.captions.limit)
    evaluation = json.loads((tmp_path / "compact" / "evaluation.json").read_text())
    assert evaluation["score"] == 0.3
    assert set(evaluation["files"]) == {"backbone.json", "config.json", "updates.safetensors"}


@pytest.mark.parametrize("file", ["updates.safetensors", "config.json", "backbone.json"])
def test_damaged_file_is_refused_in_a_line(saved, base, tmp_path, file) -> None:
    write_compact(saved, tmp_path / "compact", backbone=str(base))
    content = (tmp_path / "compact" / file).read_bytes()
    (tmp_path / "compact" / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(EmocapError, match=rf"compact/{file}: .*; reinstall emocap, or write the folder again$"):
        load_classifier(tmp_path / "compact")
    if file != "backbone.json":
        (tmp_path / "compact" / file).unlink()
        with pytest.raises(EmocapError, match=rf"compact/{file}: no such file; reinstall emocap"):
            load_classifier(tmp_path / "compact")


def test_other_version_of_the_backbone_is_refused(saved, base, tmp_path) -> None:
    write_compact(saved, tmp_path / "compact", backbone=str(base))
    load_compact(tmp_path / "compact")
    (base / "vocab.txt").write_text((base / "vocab.txt").read_text() + "unicorn\n")
    with pytest.raises(EmocapError, match=r"updates to .* but .*vocab\.txt has .*; install that version"):
        load_classifier(tmp_path / "compact")


def test_missing_backbone_is_named_with_the_command(saved, base, tmp_path, monkeypatch) -> None:
    write_compact(saved, tmp_path / "compact", backbone=str(base))
    shutil.rmtree(base)
    with pytest.raises(EmocapError, match=r"compact: needs the backbone .*base, which is not installed"):
        load_classifier(tmp_path / "compact")
    monkeypatch.setattr(required_backbone, "backbone_is_installed", lambda name: False)
    with pytest.raises(EmocapError, match=r"backbone large, which is not installed; pip install 'emocap\[large\]'"):
        required_backbone.RequiredBackbone("large", "", "", {}).require_installed(tmp_path)


def test_backbone_with_another_tokenizer_is_refused(saved, base, tmp_path) -> None:
    (base / "vocab.txt").write_text((base / "vocab.txt").read_text().replace("unicorn", "") + "unicorn\n")
    with pytest.raises(EmocapError, match="another tokenizer than the backbone"):
        write_compact(saved, tmp_path / "compact", backbone=str(base))
    assert not (tmp_path / "compact").exists()
