"""Errors at the edge: each kind's HTTP status, and Docker's body for all of them."""

from __future__ import annotations

from typing import Final

from aiohttp.web_response import Response

from pierhead.api.codec import encode
from pierhead.errors import PierError

STATUS: Final[dict[str, int]] = {
    "invalid": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "not_modified": 304,
    "too_large": 413,
    "unavailable": 503,
    "not_implemented": 501,
    "internal": 500,
}


def status_of(error: PierError) -> int:
    """The status for an error of the engine."""
    return STATUS.get(error.kind, 500)


def error_response(status: int, message: str) -> Response:
    """``{"message": ...}``, which is how every Docker client expects to be refused."""
    if status == 304:
        return Response(status=304)
    # What a client sent may come back in a message, and needn't be UTF-8.
    message = message.encode("utf-8", "backslashreplace").decode()
    return Response(
        status=status, body=encode({"message": message}), content_type="application/json"
    )


def page_not_found() -> Response:
    """What Docker answers for a path or a method that it doesn't know."""
    return error_response(404, "page not found")
