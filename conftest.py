"""Doctests of the public classes: a tiny trained model, a captioner and an image, under the names that they use."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def doctest_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """`model_folder`, `captioner_folder` and `image_path`."""
    package = ModuleType("emocap_tests")  # "tests" may be the name of an installed package
    package.__path__ = [str(Path(__file__).parent / "tests")]
    sys.modules[package.__name__] = package
    builders = import_module("emocap_tests.doctest_models")
    return builders.write_doctest_models(tmp_path_factory.mktemp("doctest"))


@pytest.fixture(autouse=True)
def _names_of_public_doctests(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    """Only the doctests of `emocap.api` need the models, which take seconds to train."""
    if isinstance(request.node, pytest.DoctestItem) and request.node.name.startswith("emocap.api."):
        doctest_namespace.update(request.getfixturevalue("doctest_models"))
        doctest_namespace["EmotionPredictor"] = import_module("emocap").EmotionPredictor
