"""What a runtime's complaint about a start means: Docker's text, exit code and kind (pure).

Clients match on these words: the stock client exits 127 for "executable file not found" and
"no such file or directory", 126 for "permission denied" and "is a directory", else 125.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Final

from pierhead.errors import Internal, InvalidParameter, PierError

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
UNKNOWN: Final = 128

_NOT_FOUND = re.compile(
    r"executable (?:file|path)?.*not found|executable file.*no such file"
    r"|(?:open|stat|exec)\S* .*executable.*no such file|executable file is empty"
    r"|exec container process.*no such file|find executable.*no such file",
    re.IGNORECASE | re.DOTALL,
)
_CLIENT_FAULT: Final = (
    "invalid argument",
    "not a directory",
    "no such file or directory",
    "permission denied",
    "is a directory",
    "operation not permitted",
    "numerical result out of range",
    "cannot specify",
    "not allowed",
    "sysctl",
    "file name too long",
    "too many levels of symbolic links",
    "argument list too long",
    "unknown",
)


@dataclass(frozen=True, slots=True)
class StartFailure:
    """``message`` is for the client, ``exit_code`` for the container's state."""

    message: str
    exit_code: int
    client_fault: bool

    def as_error(self) -> PierError:
        return InvalidParameter(self.message) if self.client_fault else Internal(self.message)


def explain(message: str, argv0: str) -> tuple[str, int, bool]:
    """(the cause in Docker's words, exit code, whether the request is to blame)."""
    lower = message.lower()
    if _NOT_FOUND.search(message):
        if "/" in argv0:
            path = argv0 if argv0.startswith("/") else posixpath.normpath(argv0)
            return f'exec: "{argv0}": stat {path}: no such file or directory', NOT_FOUND, True
        return f'exec: "{argv0}": executable file not found in $PATH', NOT_FOUND, True
    about_exec = "exec" in lower
    if about_exec and "is a directory" in lower:
        return f'exec: "{argv0}": is a directory', NOT_EXECUTABLE, True
    if "open executable" in lower and "operation not permitted" in lower:
        # crun's word for anything that is not a regular file
        return f'exec: "{argv0}": is a directory', NOT_EXECUTABLE, True
    if about_exec and "permission denied" in lower:
        return f'exec: "{argv0}": permission denied', NOT_EXECUTABLE, True
    if "exec format error" in lower:
        return f'exec: "{argv0}": exec format error', NOT_EXECUTABLE, True
    if "not a directory" in lower:
        return (
            f"{_lowered(message)}: Are you trying to mount a directory onto a file (or vice-versa)?"
            " Check if the specified host path exists and is the expected type",
            NOT_FOUND,
            True,
        )
    if "permission denied" in lower:
        return _lowered(message), NOT_EXECUTABLE, True
    return _lowered(message), UNKNOWN, any(text in lower for text in _CLIENT_FAULT)


def _lowered(message: str) -> str:
    """The C library's texts as Go spells them."""
    for text in ("Permission denied", "Is a directory", "Not a directory", "Invalid argument",
                 "No such file or directory", "Operation not permitted"):  # fmt: skip
        message = message.replace(text, text[0].lower() + text[1:])
    return message.strip()


def start_failure(message: str, argv0: str) -> StartFailure:
    """A failed create or start of a container."""
    cause, exit_code, client_fault = explain(message, argv0)
    if exit_code in (NOT_FOUND, NOT_EXECUTABLE) and cause.startswith("exec:"):
        cause = f"unable to start container process: {cause}"
    return StartFailure(
        "failed to create task for container: failed to create shim task: "
        f"OCI runtime create failed: crun create failed: {cause}: unknown",
        exit_code,
        client_fault,
    )


def exec_failure(message: str, argv0: str) -> StartFailure:
    """A failed start of an exec."""
    cause, exit_code, client_fault = explain(message, argv0)
    if exit_code == UNKNOWN:
        exit_code = NOT_EXECUTABLE
    return StartFailure(
        "OCI runtime exec failed: exec failed: unable to start container process: "
        f"{cause}: unknown",
        exit_code,
        client_fault,
    )
