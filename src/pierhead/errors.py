"""The one exception root and its few kinds.

Code below the edges raises these; only the edges (``api``, later the registry
and the CRI) turn a kind into a status. A message is written for the person who
sent the request: it names the field, the value and the way out, and carries
Docker's own wording where clients or scripts match on it.
"""

from __future__ import annotations

from typing import ClassVar


class PierError(Exception):
    """Root of every error that Pierhead raises on purpose."""

    kind: ClassVar[str] = "internal"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidParameter(PierError):
    """The request can't be right, whatever the state (HTTP 400)."""

    kind = "invalid"


class Unauthorized(PierError):
    """Nobody has proved who is asking (HTTP 401)."""

    kind = "unauthorized"


class Forbidden(PierError):
    """Known, and not allowed, or not allowed to anybody (HTTP 403)."""

    kind = "forbidden"


class NotFound(PierError):
    """The named object does not exist (HTTP 404)."""

    kind = "not_found"


class Conflict(PierError):
    """The object's state does not allow it now (HTTP 409)."""

    kind = "conflict"


class NotModified(PierError):
    """Already so: nothing was done and nothing is wrong (HTTP 304)."""

    kind = "not_modified"


class TooLarge(PierError):
    """A body or a stream passed its limit (HTTP 413)."""

    kind = "too_large"


class Unavailable(PierError):
    """A part we depend on is missing or busy; a later try may work (HTTP 503)."""

    kind = "unavailable"


class NotImplementedYet(PierError):
    """Not built: the message says what to do instead (HTTP 501)."""

    kind = "not_implemented"


class Internal(PierError):
    """Our fault or the machine's (HTTP 500)."""

    kind = "internal"
