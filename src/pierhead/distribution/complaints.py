"""What registries say when they refuse: the error document, its codes and Docker's words.

Docker clients and scripts match on these texts. They come from the error codes of the
distribution specification and from what the reference client makes of answers that hold
none (plain text, HTML of a proxy, nothing).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from pierhead.distribution.challenge import Challenge
from pierhead.errors import PierError
from pierhead.oci.reference import Reference

BODY_LIMIT_BYTES: Final = 64 << 10
"""How much of an error's body is read and repeated."""
_SHOWN_CHARACTERS: Final = 1000
_LISTED: Final = 8

# code → (the message it stands for, the kind of our error)
_CODES: Final[dict[str, tuple[str, str]]] = {
    "UNKNOWN": ("unknown error", "internal"),
    "UNSUPPORTED": ("The operation is unsupported.", "invalid"),
    "UNAUTHORIZED": ("authentication required", "unauthorized"),
    "DENIED": ("requested access to the resource is denied", "forbidden"),
    "UNAVAILABLE": ("service unavailable", "unavailable"),
    "TOOMANYREQUESTS": ("too many requests", "unavailable"),
    "DIGEST_INVALID": ("provided digest did not match uploaded content", "invalid"),
    "SIZE_INVALID": ("provided length did not match content length", "invalid"),
    "NAME_INVALID": ("invalid repository name", "invalid"),
    "TAG_INVALID": ("manifest tag did not match URI", "invalid"),
    "NAME_UNKNOWN": ("repository name not known to registry", "not_found"),
    "MANIFEST_UNKNOWN": ("manifest unknown", "not_found"),
    "MANIFEST_INVALID": ("manifest invalid", "invalid"),
    "MANIFEST_UNVERIFIED": ("manifest failed signature verification", "invalid"),
    "MANIFEST_BLOB_UNKNOWN": ("blob unknown to registry", "invalid"),
    "BLOB_UNKNOWN": ("blob unknown to registry", "not_found"),
    "BLOB_UPLOAD_UNKNOWN": ("blob upload unknown to registry", "not_found"),
    "BLOB_UPLOAD_INVALID": ("blob upload invalid", "not_found"),
}
_BY_STATUS: Final = {401: "UNAUTHORIZED", 403: "DENIED", 429: "TOOMANYREQUESTS"}


class RegistryError(PierError):
    """A registry's answer that isn't success. ``str()`` is what Docker would print.

    The kind (for the API's status) is set on the instance; ``code`` is the first of the
    error document's (``MANIFEST_UNKNOWN``, ``DENIED``...; empty without a document).
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        status: int,
        code: str = "",
        reason: str = "",
        retry_after_s: float | None = None,
        of_proof: bool = False,
        detailed: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind  # type: ignore[misc]
        self.status = status
        self.code = code
        self.reason = reason
        self.of_proof = of_proof
        """Whether it was about getting a token or finding credentials, before the request."""
        self.detailed = detailed
        """Whether the document said more than a code and its standard message."""
        self.retry_after_s = retry_after_s
        """What the registry asked us to wait, if it did."""

    def of_kind(self, kind: str, message: str = "") -> RegistryError:
        """The same with another kind, and perhaps other words."""
        return RegistryError(
            message or str(self),
            kind=kind,
            status=self.status,
            code=self.code,
            reason=self.reason,
            retry_after_s=self.retry_after_s,
            of_proof=self.of_proof,
            detailed=self.detailed,
        )

    @property
    def passing(self) -> bool:
        """Whether a later try may work: too many requests, or trouble on the other side."""
        return self.status in (408, 429, 500, 502, 503, 504)


def complaint(
    status: int,
    reason: str,
    content_type: str,
    body: bytes,
    challenges: Sequence[Challenge] = (),
    retry_after_s: float | None = None,
) -> RegistryError:
    """The error for an answer of ``status``; ``body`` may be cut off at ``BODY_LIMIT_BYTES``."""
    if not 400 <= status < 500 and not _looks_like_document(content_type, body):
        return RegistryError(
            f"received unexpected HTTP status: {status} {reason}".rstrip(),
            kind="unavailable" if status in (502, 503, 504) else "internal",
            status=status,
            reason=reason,
            retry_after_s=retry_after_s,
        )
    found = [*_of_challenges(challenges), *_of_body(status, content_type, body)]
    if not found:
        shown = _shown(body)
        if status == 401:
            found = [("UNAUTHORIZED", "")]
        else:
            why = "no error details found in HTTP response body"
            return RegistryError(
                f'error parsing HTTP {status} response body: {why}: "{shown}"',
                kind="not_found" if status == 404 else "internal",
                status=status,
                reason=reason,
                retry_after_s=retry_after_s,
            )
    texts = [_text(code, message) for code, message in found[:_LISTED]]
    text = texts[0] if len(texts) == 1 else "errors:\n" + "".join(f"{line}\n" for line in texts)
    code = found[0][0]
    kind = _CODES.get(code, _CODES["UNKNOWN"])[1]
    standard = found[0][1] in ("", _CODES.get(code, _CODES["UNKNOWN"])[0])
    return RegistryError(
        text,
        kind=kind,
        status=status,
        code=code,
        reason=reason,
        retry_after_s=retry_after_s,
        detailed=not standard or _has_detail(body),
    )


def _looks_like_document(content_type: str, body: bytes) -> bool:
    """Some registries explain their 5xx in JSON, too; the reference client drops that."""
    return content_type.partition(";")[0].strip().lower() == "application/json" and bool(
        _of_body(500, content_type, body)
    )


def _text(code: str, message: str) -> str:
    known = code if code in _CODES else "UNKNOWN"
    return f"{known.lower().replace('_', ' ')}: {message or _CODES[known][0]}"


def _of_challenges(challenges: Sequence[Challenge]) -> list[tuple[str, str]]:
    """OAuth's errors in a Bearer challenge (RFC 6750, section 3.1)."""
    for challenge in challenges:
        if challenge.scheme != "bearer":
            continue
        code = {"invalid_token": "UNAUTHORIZED", "insufficient_scope": "DENIED"}.get(
            challenge.parameters.get("error", "")
        )
        if code is not None:
            return [(code, challenge.parameters.get("error_description", ""))]
    return []


def _of_body(status: int, content_type: str, body: bytes) -> list[tuple[str, str]]:
    """(code, message) of each error; plain text becomes the message of the status' code."""
    plain = content_type.partition(";")[0].strip().lower()
    if plain not in ("application/json", "application/vnd.api+json"):
        if not content_type and not body:
            return []
        return [(_BY_STATUS.get(status, "UNKNOWN"), _shown(body))]
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if not isinstance(document, dict):
        return []
    if isinstance(details := document.get("details"), str) and details:
        return [(_BY_STATUS.get(status, "UNKNOWN"), _clean(details))]
    listed = document.get("errors")
    found = []
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict):
            code, message = entry.get("code"), entry.get("message")
            found.append(
                (
                    code if isinstance(code, str) else "UNKNOWN",
                    _clean(message) if isinstance(message, str) else "",
                )
            )
    return found


def _has_detail(body: bytes) -> bool:
    try:
        return json.loads(body)["errors"][0].get("detail") is not None
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return False


def _shown(body: bytes) -> str:
    return _clean(body.decode("utf-8", "replace"))


def _clean(text: str) -> str:
    """Bounded, and without the control characters that would play with a terminal."""
    text = text[:_SHOWN_CHARACTERS].strip()
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def pull_error(error: PierError, ref: Reference) -> PierError:
    """A pull's error in Docker's words: which name was denied or not found."""
    if not isinstance(error, RegistryError):
        return error
    if error.kind == "unauthorized" and (error.of_proof or not error.detailed):
        # As dockerd: a 401 would make the docker client ask for a password.
        return error.of_kind("internal")
    if error.code == "TOOMANYREQUESTS":
        return error.of_kind("internal")
    if error.code == "DENIED":
        text = (
            f"pull access denied for {ref.familiar_name}, repository does not exist or may "
            f"require 'docker login': {error}"
        )
    elif error.code == "MANIFEST_UNKNOWN":
        text = f"manifest for {ref.familiar} not found: {error}"
    elif error.code == "NAME_UNKNOWN":
        text = f"repository {ref.familiar_name} not found: {error}"
    else:
        return error
    return error.of_kind("not_found", text)
