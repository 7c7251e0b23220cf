"""The registry of extractors: building one by name, and the module of each."""

import importlib

import pytest

from emocap.errors import EmocapError
from emocap.regions.extract import extract
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.extractors.registry import EXTRACTORS, build_extractor, extractor_modules


def test_extractor_is_rebuilt_from_its_settings():
    extractor = build_extractor("grid", {"rows": 2, "dim": 8})
    assert (extractor.name, extractor.dim, extractor.weights_hash) == ("grid", 8, "")
    assert build_extractor(extractor.name, extractor.settings).settings == extractor.settings
    assert build_extractor("grid").settings["rows"] == 5


def test_refuses_unknown_names_and_settings():
    with pytest.raises(EmocapError, match="extractor is 'gird', expected one of grid, frcnn-vg"):
        build_extractor("gird", {})
    with pytest.raises(EmocapError, match="unknown setting 'cells', expected some of rows, columns, dim, seed"):
        build_extractor("grid", {"cells": 3})
    with pytest.raises(EmocapError, match="rows is '5', expected an integer"):
        build_extractor("grid", {"rows": "5"})
    with pytest.raises(EmocapError, match="workers is 0, expected 1 or more"):
        extract([], None, GridExtractor(), None, workers=0)
    with pytest.raises(EmocapError, match="batch_size is 0, expected 1 or more"):
        extract([], None, GridExtractor(), None, batch_size=0)
    with pytest.raises(EmocapError, match="extractor vit: setting 'weights' is missing"):
        build_extractor("vit")
    for weights in (5, "", ["a"]):
        with pytest.raises(EmocapError, match="extractor vit: weights is .*, expected a folder, file or name"):
            build_extractor("vit", {"weights": weights})
    with pytest.raises(EmocapError, match="its settings contain weights too"):
        build_extractor("vit:a/b", {"weights": "c/d"})


def test_extractor_modules_are_importable():
    for name, path in EXTRACTORS.items():
        module_name, _, attribute = path.partition(":")
        assert extractor_modules(name) == [module_name]
        assert getattr(importlib.import_module(module_name), attribute).name == name
    assert extractor_modules("vit:owner/name") == ["emocap.regions.extractors.vit"]
    assert [name.rpartition(".")[2] for name in extractor_modules("auto")] == ["frcnn_vg", "timm_backbone", "grid"]
    with pytest.raises(EmocapError, match="extractor is 'gird', expected one of"):
        extractor_modules("gird")
