"""Every route against its own OpenAPI document, by what schemathesis makes up: no server error, answers as it says."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from emocap.app.limits import Limits
from emocap.app.server import build_app

ROUTES = [
    ("POST", "/v1/predict"), ("POST", "/v1/rank"), ("POST", "/v1/explain"), ("POST", "/v1/caption"),
    ("GET", "/v1/model"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"),
]  # fmt: skip


@pytest.fixture(scope="module")
def api(loaded, tmp_path_factory):
    """The application's document."""
    gate, service = build_app(loaded, Limits(), tmp_path_factory.mktemp("api"), page=False)
    yield schemathesis.openapi.from_asgi("/openapi.json", gate)
    service.stop()


def test_the_document_has_these_routes(api) -> None:
    assert {(one.ok().method.upper(), one.ok().path) for one in api.get_all_operations()} == set(ROUTES)


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        (method, path, mode)
        for method, path in ROUTES
        for mode in schemathesis.GenerationMode
        if method == "POST" or mode is schemathesis.GenerationMode.POSITIVE  # a GET takes nothing that could be wrong
    ],
)
def test_every_route_keeps_to_its_document(api, method, path, mode) -> None:
    """All of schemathesis' checks but one: that a string is a picture or a known emotion is more than a schema says."""

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=api[path][method].as_strategy(generation_mode=mode))
    def answered(case) -> None:
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    answered()
