"""Every route against the OpenAPI document, by requests that schemathesis generates."""

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
SCHEMAS = {
    "PredictRequest", "RankRequest", "ExplainRequest", "CaptionRequest",
    "PredictResponse", "RankResponse", "ModelResponse", "ErrorResponse",
    "Prediction", "EmotionProbability", "UnintendedEmotion", "RankedCaption", "HeldOutScores", "Evaluation",
    "RatingScores",
    "Explanation", "WordEffect", "RegionEffect", "Rewording",
}  # fmt: skip


@pytest.fixture(scope="module")
def api(loaded, tmp_path_factory):
    """The OpenAPI document of the application."""
    app, service = build_app(loaded, Limits(), tmp_path_factory.mktemp("api"), page=False)
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    service.stop()


def test_document_lists_all_routes(api) -> None:
    assert {(operation.ok().method.upper(), operation.ok().path) for operation in api.get_all_operations()} == set(
        ROUTES
    )


def test_document_names_requests_and_responses(api) -> None:
    assert set(api.raw_schema["components"]["schemas"]) == SCHEMAS


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        (method, path, mode)
        for method, path in ROUTES
        for mode in schemathesis.GenerationMode
        if method == "POST" or mode is schemathesis.GenerationMode.POSITIVE  # a GET has no input that could be invalid
    ],
)
def test_every_route_matches_its_document(api, method, path, mode) -> None:
    """All of schemathesis' checks but one: a schema cannot say that a string is an image or a known emotion."""

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=api[path][method].as_strategy(generation_mode=mode))
    def check(case) -> None:
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    check()
