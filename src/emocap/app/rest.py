"""The REST interface: JSON requests in, JSON responses or one-sentence errors out."""

from dataclasses import replace
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from emocap.api.explanation import Explanation
from emocap.api.requested_emotions import conflict_warning
from emocap.app import schemas
from emocap.app.image_data import image_bytes
from emocap.app.metrics import Metrics
from emocap.app.request_log import INTERNAL_ERROR
from emocap.app.service import DeadlineExceeded, NoCaptioner, ServerBusy, Service
from emocap.errors import EmocapError
from emocap.validation import first_error

ABOUT = (
    "The probability that annotators name an emotion for an image with its caption, and the ratings that they give it, "
    "such as valence: what an audience may feel about the content. "
    "It says nothing about what a person in the image feels."
)
STATUS = {ServerBusy: 429, DeadlineExceeded: 504, NoCaptioner: 404}
Responses = dict[int | str, dict[str, Any]]
ERRORS: Responses = {
    status: {"model": schemas.ErrorResponse, "description": description}
    for status, description in {
        400: "The request is incomplete or not JSON.",
        401: "The key is missing or wrong.",
        408: "The request arrived too slowly.",
        413: "The request is too large.",
        422: "A value of the request is invalid.",
        429: "Too many requests are waiting.",
        504: "The deadline was exceeded.",
    }.items()
}
KEY_ERROR: Responses = {401: ERRORS[401]}
CAPTION_ERRORS: Responses = ERRORS | {
    404: {"model": schemas.ErrorResponse, "description": "The model has no captioner."}
}
NOT_JSON = "the body is not JSON in UTF-8; send a JSON object"


def build_rest(service: Service, metrics: Metrics, needs_key: bool = False) -> FastAPI:
    """The REST interface of one model; the middleware around it checks the key."""
    app = FastAPIOffline(title="emocap", version=version("emocap"), description=ABOUT, redoc_url=None)
    security = [Security(HTTPBearer(auto_error=False))] if needs_key else []
    _add_error_handlers(app)
    app.include_router(_emotion_routes(service), dependencies=security)
    app.include_router(_caption_routes(service), dependencies=security)
    app.include_router(_model_routes(service, metrics), dependencies=security)
    app.include_router(_health_routes(service))
    return app


def _emotion_routes(service: Service) -> APIRouter:
    router = APIRouter(tags=["emotions"])

    @router.post("/v1/predict", response_model=schemas.PredictResponse, responses=ERRORS)
    async def predict(request: schemas.PredictRequest) -> Any:
        """What people are likely to feel about the image with each caption: emotions, and ratings of the model."""
        image = image_bytes(request.image)
        found = await service.predict(image, request.captions, request.emotions)
        return {
            "predictions": [
                replace(prediction, emotions=prediction.emotions[: request.top]) for prediction in found.predictions
            ],
            "remarks": found.remarks,
        }

    @router.post("/v1/rank", response_model=schemas.RankResponse, responses=ERRORS)
    async def rank(request: schemas.RankRequest) -> Any:
        """Captions ranked by the target emotions; none is changed or left out."""
        found = await service.rank(
            image_bytes(request.image),
            request.captions,
            request.emotions,
            request.avoid,
            request.max_chars,
            request.strength,
        )
        note = conflict_warning(_normalized(request.emotions))
        return {"captions": found.ranked, "note": note, "remarks": found.remarks}

    @router.post("/v1/explain", response_model=Explanation, responses=ERRORS)
    async def explain(request: schemas.ExplainRequest) -> Any:
        """Which words and regions raise or lower an emotion or a rating, and the effect of other wordings."""
        explanation, _ = await service.explain(image_bytes(request.image), request.caption, request.emotion)
        return explanation

    return router


def _caption_routes(service: Service) -> APIRouter:
    router = APIRouter(tags=["captions"])

    @router.post("/v1/caption", response_model=schemas.RankResponse, responses=CAPTION_ERRORS)
    async def caption(request: schemas.CaptionRequest) -> Any:
        """Captions generated for an image, the target emotions and a style, best first."""
        image = image_bytes(request.image)
        assert image is not None, "the schema requires it"
        found = await service.generate(
            image,
            request.emotions,
            request.n,
            request.avoid,
            request.max_chars,
            request.guidance,
            style=request.style,
            seed=request.seed,
        )
        notes = filter(None, (found.note, conflict_warning(_normalized(request.emotions))))
        return {"captions": found.ranked, "note": "; ".join(notes) or None, "remarks": found.remarks}

    return router


def _model_routes(service: Service, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["server"])

    @router.get("/v1/model", response_model=schemas.ModelResponse, responses=KEY_ERROR)
    async def model() -> Any:
        """The model's emotions, ratings and styles, its test scores and the limits of a request."""
        served = service.served
        return {
            "name": served.name,
            "emotions": served.predictor.labels,
            "ratings": served.predictor.ratings,
            "uses_images": served.predictor.uses_images,
            "uses_captions": served.predictor.uses_captions,
            "writes_captions": served.captioner is not None,
            "styles": served.styles,
            "measured": served.measured,
            "evaluation": served.evaluation,
            "language": served.predictor.language,
            "version": version("emocap"),
            "remarks": [remark.text for remark in served.predictor.model_remarks()],
            "about": ABOUT,
            "card": served.card,
            "limits": schemas.public_limits(service.limits),
        }

    @router.get("/metrics", response_class=Response, responses=KEY_ERROR)
    async def prometheus() -> Response:
        """Metrics for Prometheus."""
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _health_routes(service: Service) -> APIRouter:
    router = APIRouter(tags=["server"])

    @router.get("/healthz")
    async def alive() -> dict[str, str]:
        """Whether the process responds."""
        return {"status": "alive"}

    @router.get("/readyz", responses={503: {"model": schemas.ErrorResponse}})
    async def ready() -> Any:
        """Whether requests are accepted."""
        return {"status": "ready"} if service.is_ready else _error(503, "the server is stopping")

    return router


def _add_error_handlers(app: FastAPI) -> None:
    """Every error is one sentence under the key `detail`."""

    @app.exception_handler(EmocapError)
    async def emocap_error(request: Request, error: EmocapError) -> Response:
        headers = error.headers if isinstance(error, ServerBusy) else None
        return _error(STATUS.get(type(error), 422), str(error), headers)

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> Response:
        return _error(422, _first_error(error))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        detail = str(error.detail)
        return _error(error.status_code, NOT_JSON if "parsing the body" in detail else detail, error.headers)

    @app.exception_handler(Exception)
    async def internal_error(request: Request, error: Exception) -> Response:
        return _error(500, INTERNAL_ERROR)


def _normalized(emotions: list[str]) -> list[str]:
    return [emotion.strip().lower() for emotion in emotions]


def _error(status: int, detail: str, headers: Any = None) -> JSONResponse:
    encodable = detail.encode("utf-8", "backslashreplace").decode()
    return JSONResponse({"detail": " ".join(encodable.split())}, status, headers)


def _first_error(error: RequestValidationError) -> str:
    """The first validation error in one sentence, without the value, which may be long or private."""
    (first, *_) = error.errors()
    key = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    if first["type"] == "json_invalid":
        return f"invalid JSON at character {key}; send a JSON object"
    if first["type"] in ("model_attributes_type", "dict_type", "model_type") and not first["loc"][1:]:
        return "not a JSON object; send one, with Content-Type: application/json"
    if first["type"] == "unknown_key":
        return str(first["msg"])
    return first_error(error.errors(), skip=1, show_input=False)
