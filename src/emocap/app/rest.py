"""The REST interface: questions in, answers or one sentence out."""

from dataclasses import replace
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from emocap.api.explanation import Explanation
from emocap.api.requested_emotions import compromise
from emocap.app import schemas
from emocap.app.metrics import Metrics
from emocap.app.middleware import FAILED
from emocap.app.service import Busy, NoCaptioner, Service, TooSlow
from emocap.errors import EmocapError
from emocap.validation import first_error

ABOUT = (
    "The chance that annotators name an emotion for a picture with its caption, as an audience may feel about content. "
    "It says nothing of what a person in a picture feels."
)
STATUS = {Busy: 429, TooSlow: 504, NoCaptioner: 404}
REFUSALS: dict[int | str, dict[str, Any]] = {
    number: {"model": schemas.Refusal, "description": what}
    for number, what in {
        400: "The request is not whole, or no JSON.",
        401: "The key is missing or wrong.",
        408: "The request arrived too slowly.",
        413: "The request is too large.",
        422: "Something in it cannot be used.",
        429: "Too many requests are waiting.",
        504: "No answer in time.",
    }.items()
}
NO_JSON = "the body is no JSON in UTF-8 that can be read; send a JSON object"
NO_KEY: dict[int | str, dict[str, Any]] = {401: REFUSALS[401]}
UNABLE = REFUSALS | {404: {"model": schemas.Refusal, "description": "The model writes no captions."}}


def build_rest(service: Service, metrics: Metrics, needs_key: bool = False) -> FastAPI:
    """The routes for one model; the gate stands before them and looks at the key."""
    app = FastAPIOffline(title="emocap", version=version("emocap"), description=ABOUT, redoc_url=None)
    guarded = [Security(HTTPBearer(auto_error=False))] if needs_key else []
    _add_refusals(app)

    @app.post(
        "/v1/predict", response_model=schemas.PredictAnswer, responses=REFUSALS, dependencies=guarded, tags=["emotions"]
    )
    async def predict(question: schemas.PredictQuestion) -> Any:
        """What people are likely to feel on seeing each caption with the picture."""
        image = schemas.image_bytes(question.image)
        found = await service.predict(image, question.captions, question.emotions)
        return {"predictions": [replace(one, emotions=one.emotions[: question.top]) for one in found]}

    @app.post(
        "/v1/rank", response_model=schemas.RankAnswer, responses=REFUSALS, dependencies=guarded, tags=["emotions"]
    )
    async def rank(question: schemas.RankQuestion) -> Any:
        """Captions ordered by the emotions that are wanted; none is changed or left out."""
        _, found = await service.judge(
            schemas.image_bytes(question.image),
            question.captions,
            question.emotions,
            question.avoid,
            question.max_chars,
            question.strength,
        )
        return {"captions": found, "note": compromise(_plain(question.emotions))}

    @app.post("/v1/explain", response_model=Explanation, responses=REFUSALS, dependencies=guarded, tags=["emotions"])
    async def explain(question: schemas.ExplainQuestion) -> Any:
        """Which words and regions move an emotion, and what other wordings would do."""
        found, _ = await service.explain(schemas.image_bytes(question.image), question.caption, question.emotion)
        return found

    @app.post(
        "/v1/caption",
        response_model=schemas.RankAnswer,
        responses=UNABLE,
        dependencies=guarded,
        tags=["captions"],
    )
    async def caption(question: schemas.CaptionQuestion) -> Any:
        """Captions written for a picture that make people feel the emotions, best first."""
        image = schemas.image_bytes(question.image)
        assert image is not None, "the schema asks for it"
        found, note = await service.write(
            image,
            question.emotions,
            question.n,
            question.avoid,
            question.max_chars,
            question.guidance,
            seed=question.seed,
        )
        notes = filter(None, (note, compromise(_plain(question.emotions))))
        return {"captions": found, "note": "; ".join(notes) or None}

    @app.get(
        "/v1/model",
        response_model=schemas.ModelAnswer,
        responses=NO_KEY,
        dependencies=guarded,
        tags=["server"],
    )
    async def model() -> Any:
        """The model's emotions, what it was measured to be worth, and the limits of a request."""
        served = service.served
        return {
            "name": served.name,
            "emotions": served.predictor.labels,
            "uses_images": served.predictor.uses_images,
            "writes_captions": served.captioner is not None,
            "measured": served.measured,
            "about": ABOUT,
            "limits": schemas.shown_limits(service.limits),
        }

    @app.get("/healthz", tags=["server"])
    async def alive() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "alive"}

    @app.get("/readyz", responses={503: {"model": schemas.Refusal}}, tags=["server"])
    async def ready() -> Any:
        """Whether questions are answered."""
        return {"status": "ready"} if service.is_ready else _refusal(503, "the server is stopping")

    @app.get("/metrics", response_class=Response, responses=NO_KEY, dependencies=guarded, tags=["server"])
    async def told() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.told(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


def _add_refusals(app: FastAPI) -> None:
    """Whatever goes wrong is told in one sentence."""

    @app.exception_handler(EmocapError)
    async def refused(request: Request, error: EmocapError) -> Response:
        status = STATUS.get(type(error), 422)
        return _refusal(status, str(error), {"retry-after": "1"} if status == 429 else None)

    @app.exception_handler(RequestValidationError)
    async def not_understood(request: Request, error: RequestValidationError) -> Response:
        return _refusal(422, _first_fault(error))

    @app.exception_handler(HTTPException)
    async def no_such_thing(request: Request, error: HTTPException) -> Response:
        told = str(error.detail)
        return _refusal(error.status_code, NO_JSON if "parsing the body" in told else told, error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return _refusal(500, FAILED)


def _plain(emotions: list[str]) -> list[str]:
    return [emotion.strip().lower() for emotion in emotions]


def _refusal(status: int, detail: str, headers: Any = None) -> JSONResponse:
    plain = detail.encode("utf-8", "backslashreplace").decode()
    return JSONResponse({"detail": " ".join(plain.split())}, status, headers)


def _first_fault(error: RequestValidationError) -> str:
    """The first fault in one sentence, without the value, which may be long or private."""
    (fault, *_) = error.errors()
    place = ".".join(str(part) for part in fault["loc"][1:]) or "the request"
    if fault["type"] == "json_invalid":
        return f"no JSON at character {place}; send a JSON object"
    if fault["type"] in ("model_attributes_type", "dict_type", "model_type") and not fault["loc"][1:]:
        return "no JSON object; send one, with Content-Type: application/json"
    if fault["type"] == "unknown_key":
        return str(fault["msg"])
    return first_error(error.errors(), skip=1, show_input=False)
