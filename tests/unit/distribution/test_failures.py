"""Foreign errors in Go's words (what can't be had from a real server; see test_http.py)."""

from __future__ import annotations

import errno
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from pierhead.distribution.failures import certificate, failed, handshake, reason, translate

KEY = ConnectionKey("a.example", 443, True, True, None, None, None, server_hostname=None)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ECONNREFUSED, "dial tcp a.example:443: connect: connection refused"),
        (errno.EHOSTUNREACH, "dial tcp a.example:443: connect: no route to host"),
        (errno.ENETUNREACH, "dial tcp a.example:443: connect: network is unreachable"),
        (errno.ETIMEDOUT, "dial tcp a.example:443: connect: connection timed out"),
        (errno.EACCES, "dial tcp a.example:443: Permission denied"),
    ],
)
def test_dialling(number: int, words: str) -> None:
    import os

    error = aiohttp.ClientConnectorError(KEY, OSError(number, os.strerror(number)))
    assert reason(error, reached=False)[0] == words


def test_the_address_that_was_dialled() -> None:
    inner = OSError(errno.ECONNREFUSED, "Connect call failed ('::1', 5000, 0, 0)")
    error = aiohttp.ClientConnectorError(KEY, inner)
    assert reason(error, reached=False)[0] == "dial tcp [::1]:5000: connect: connection refused"


def test_names() -> None:
    error = aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name or service not known"))
    assert reason(error, reached=False) == ("dial tcp: lookup a.example: no such host", False)
    error = aiohttp.ClientConnectorDNSError(KEY, OSError(-3, "Temporary failure"))
    assert reason(error, reached=False)[1]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (18, "x509: certificate signed by unknown authority"),
        (20, "x509: certificate signed by unknown authority"),
        (10, "x509: certificate has expired or is not yet valid"),
        (62, "x509: certificate is not valid for a.example"),
        (64, "x509: cannot validate certificate for a.example because it doesn't contain it"),
        (99, "x509: odd"),
    ],
)
def test_certificates(code: int, words: str) -> None:
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_code, error.verify_message = code, "odd"
    assert certificate(error, "a.example") == f"tls: failed to verify certificate: {words}"


@pytest.mark.parametrize(
    ("reason_", "words"),
    [
        ("WRONG_VERSION_NUMBER", "http: server gave HTTP response to HTTPS client"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "remote error: tls: certificate required"),
        ("TLSV1_ALERT_UNKNOWN_CA", "remote error: tls: bad certificate"),
        ("UNEXPECTED_EOF_WHILE_READING", "EOF"),
        ("NO_CIPHERS", "remote error: tls: no ciphers"),
    ],
)
def test_handshakes(reason_: str, words: str) -> None:
    error = ssl.SSLError(1, "x")
    error.reason = reason_
    assert handshake(error) == words


def test_breaks() -> None:
    assert reason(aiohttp.ServerDisconnectedError(), reached=False) == ("EOF", True)
    assert reason(aiohttp.ClientPayloadError("x"), reached=True) == ("unexpected EOF", True)
    assert reason(ConnectionResetError(errno.ECONNRESET, "x"), reached=True) == (
        "read: connection reset by peer",
        True,
    )
    assert reason(BrokenPipeError(errno.EPIPE, "x"), reached=True)[0] == "write: broken pipe"
    assert "awaiting headers" in reason(TimeoutError(), reached=False)[0]
    assert "reading body" in reason(TimeoutError(), reached=True)[0]
    assert reason(aiohttp.ConnectionTimeoutError(), reached=False)[0] == "dial tcp: i/o timeout"


def test_the_whole_message() -> None:
    error = failed("GET", "https://a.example/v2/", "EOF", reached=False, passing=True)
    assert str(error) == 'Get "https://a.example/v2/": EOF'
    assert error.why == "EOF"
    error = translate("HEAD", "https://a.example/v2/", RuntimeError("odd"), reached=False)
    assert str(error) == 'Head "https://a.example/v2/": odd'
    assert not error.reached
    assert not error.passing
