"""What registries answer, in the words of Docker's client library."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pierhead.distribution.challenge import parse
from pierhead.distribution.complaints import RegistryError, complaint, pull_error
from pierhead.errors import InvalidParameter
from pierhead.oci.reference import parse as parse_reference

JSON = "application/json; charset=utf-8"


def told(status: int, errors: Any, **options: Any) -> RegistryError:
    return complaint(status, "Reason", JSON, json.dumps({"errors": errors}).encode(), **options)


@pytest.mark.parametrize(
    ("status", "code", "message", "text", "kind"),
    [
        (
            404,
            "MANIFEST_UNKNOWN",
            "manifest unknown",
            "manifest unknown: manifest unknown",
            "not_found",
        ),
        (404, "NAME_UNKNOWN", "no", "name unknown: no", "not_found"),
        (401, "UNAUTHORIZED", "", "unauthorized: authentication required", "unauthorized"),
        (403, "DENIED", "no way", "denied: no way", "forbidden"),
        (
            429,
            "TOOMANYREQUESTS",
            "You have reached your pull rate limit.",
            "toomanyrequests: You have reached your pull rate limit.",
            "unavailable",
        ),
        (400, "WHAT_IS_THIS", "hm", "unknown: hm", "internal"),
        (405, "UNSUPPORTED", "", "unsupported: The operation is unsupported.", "invalid"),
    ],
)
def test_documents(status: int, code: str, message: str, text: str, kind: str) -> None:
    error = told(status, [{"code": code, "message": message, "detail": None}])
    assert (str(error), error.kind, error.code, error.status) == (text, kind, code, status)


def test_several_errors() -> None:
    error = told(
        401, [{"code": "DENIED", "message": "a"}, {"code": "UNAUTHORIZED", "message": "b"}]
    )
    assert str(error) == "errors:\ndenied: a\nunauthorized: b\n"
    assert error.code == "DENIED"


def test_oauth_errors_in_the_challenge() -> None:
    header = 'Bearer realm="r",error="insufficient_scope",error_description="not yours"'
    error = told(401, [{"code": "UNAUTHORIZED", "message": "x"}], challenges=parse([header]))
    assert str(error) == "errors:\ndenied: not yours\nunauthorized: x\n"


@pytest.mark.parametrize(
    ("status", "kind", "body", "text"),
    [
        (500, "text/html", b"<h1>oops</h1>", "received unexpected HTTP status: 500 Reason"),
        (503, "", b"", "received unexpected HTTP status: 503 Reason"),
        (503, JSON, b'{"errors":[{"code":"UNAVAILABLE"}]}', "unavailable: service unavailable"),
        (301, "", b"", "received unexpected HTTP status: 301 Reason"),
        (403, "text/plain", b"go away\n", "denied: go away"),
        (401, "text/html", b"who?", "unauthorized: who?"),
        (429, "text/plain", b"slow", "toomanyrequests: slow"),
        (404, "text/plain", b"404 page not found\n", "unknown: 404 page not found"),
        (401, JSON, b"", "unauthorized: authentication required"),
        (401, JSON, b"{{{", "unauthorized: authentication required"),
        (400, JSON, b'{"details":"irregular"}', "unknown: irregular"),
        (
            404,
            JSON,
            b"[]",
            "error parsing HTTP 404 response body: no error details found in HTTP response body: "
            '"[]"',
        ),
    ],
)
def test_answers_without_a_document(status: int, kind: str, body: bytes, text: str) -> None:
    assert str(complaint(status, "Reason", kind, body)) == text


@pytest.mark.parametrize(
    "errors", [None, 5, "x", [], [1, None, []], [{"code": 5, "message": {}}], [{}]]
)
def test_garbage_in_the_document(errors: Any) -> None:
    assert isinstance(told(400, errors), RegistryError)


def test_terminals_and_logs_are_spared() -> None:
    error = complaint(403, "", "text/plain", b"\x1b[31mred\x00" + b"x" * 100_000)
    assert "\x1b" not in str(error)
    assert "\0" not in str(error)
    assert len(str(error)) < 1100
    many = told(400, [{"code": "DENIED", "message": "x" * 9000}] * 5000)
    assert len(str(many)) < 10_000


def test_what_passes() -> None:
    assert complaint(429, "", "", b"", retry_after_s=3).passing
    assert complaint(503, "", "", b"").passing
    assert not complaint(404, "", "", b"").passing


def test_a_pulls_words() -> None:
    ref = parse_reference("busybox:nix")

    def pull(code: str, message: str) -> RegistryError:
        error = pull_error(told(404, [{"code": code, "message": message}]), ref)
        assert isinstance(error, RegistryError)
        return error

    missing = pull("MANIFEST_UNKNOWN", "manifest unknown")
    assert str(missing) == (
        "manifest for busybox:nix not found: manifest unknown: manifest unknown"
    )
    assert missing.kind == "not_found"
    assert str(pull("DENIED", "requested access to the resource is denied")) == (
        "pull access denied for busybox, repository does not exist or may require 'docker login': "
        "denied: requested access to the resource is denied"
    )
    assert str(pull("NAME_UNKNOWN", "gone")) == "repository busybox not found: name unknown: gone"
    assert str(pull("TOOMANYREQUESTS", "slow")) == "toomanyrequests: slow"
    other = InvalidParameter("x")
    assert pull_error(other, ref) is other


def test_a_failed_login_in_a_pull_asks_for_no_password() -> None:
    """The docker client prompts at a 401, which dockerd doesn't send then."""
    error = RegistryError("x", kind="unauthorized", status=401, of_proof=True)
    assert pull_error(error, parse_reference("busybox")).kind == "internal"


@pytest.mark.parametrize(
    ("message", "detail", "kind"),
    [
        ("authentication required", None, "internal"),
        ("", None, "internal"),
        ("authentication required", [{"Type": "repository"}], "unauthorized"),
        ("who are you?", None, "unauthorized"),
    ],
)
def test_only_a_detailed_refusal_asks_for_a_password(message: str, detail: Any, kind: str) -> None:
    """Seen at dockerd 20.10 before docker-registry, and read in its client library."""
    error = told(401, [{"code": "UNAUTHORIZED", "message": message, "detail": detail}])
    assert pull_error(error, parse_reference("busybox")).kind == kind
    assert error.kind == "unauthorized"


def test_a_limit_is_no_outage() -> None:
    error = told(429, [{"code": "TOOMANYREQUESTS", "message": "slow", "detail": {}}])
    assert pull_error(error, parse_reference("busybox")).kind == "internal"
