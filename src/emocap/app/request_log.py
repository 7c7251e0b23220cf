"""The request log: a line of JSON for each request and each failure.

It says when, which route, how long and which status; never what was sent or predicted.
"""

import json
import logging
import time
import traceback
import uuid
from pathlib import Path

logger = logging.getLogger("emocap.requests")
INTERNAL_ERROR = "internal error; the server's log has it under the response's x-request-id"


def new_request_id() -> str:
    """A random id of 16 hexadecimal digits."""
    return uuid.uuid4().hex[:16]


def log_request(request_id: str, method: str, route: str, status: int, n_bytes: int, seconds: float) -> None:
    """Log a finished request."""
    entry = {
        "time": _now(),
        "request": request_id,
        "method": method,
        "route": route,
        "status": status,
        "bytes": n_bytes,
        "ms": round(1e3 * seconds, 1),
    }
    logger.info(json.dumps(entry))


def log_failure(error: Exception, request_id: str | None = None) -> str:
    """Log an error's type and place, without its message, which may quote the request.

    Returns:
        The id under which it is logged.
    """
    request_id = new_request_id() if request_id is None else request_id
    stack = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    logger.error(json.dumps({"time": _now(), "request": request_id, "error": type(error).__name__, "at": stack[-8:]}))
    return request_id


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
