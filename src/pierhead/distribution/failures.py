"""Requests that got no answer, in the words of Go's HTTP client: clients match on them."""

from __future__ import annotations

import asyncio
import errno
import re
from typing import Final

from pierhead.errors import PierError

_CALL_FAILED: Final = re.compile(r"Connect call failed \('([^']+)', (\d+)")
# OpenSSL's verify results (x509_vfy.h).
_EXPIRED: Final = frozenset({9, 10})
_HOSTNAME, _ADDRESS = 62, 64


class TransportError(PierError):
    """No answer, or one that broke off. ``str()`` is what Docker would print."""

    kind = "internal"

    def __init__(self, message: str, *, reached: bool, passing: bool, why: str = "") -> None:
        super().__init__(message)
        self.why = why or message
        """The message without the request it is about."""
        self.reached = reached
        """Whether the other side spoke HTTP with us at all (so the scheme was right)."""
        self.passing = passing
        """Whether a later try may work."""


def failed(method: str, url: str, why: str, *, reached: bool, passing: bool) -> TransportError:
    """``Get "https://host/v2/": why``."""
    return TransportError(
        f'{method.title()} "{url}": {why}', reached=reached, passing=passing, why=why
    )


def translate(method: str, url: str, error: BaseException, *, reached: bool) -> TransportError:
    """What aiohttp (or asyncio, ssl, the kernel) raised for a request, as ours."""
    why, passing = reason(error, reached=reached)
    return failed(method, url, why, reached=reached or _spoke(error), passing=passing)


def _spoke(error: BaseException) -> bool:
    """Whether the other side is one for this scheme, although there was no answer."""
    import aiohttp

    return isinstance(error, aiohttp.ClientPayloadError)


def reason(error: BaseException, *, reached: bool) -> tuple[str, bool]:
    """(Go's words, whether a later try may work)."""
    import ssl

    import aiohttp

    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"proxyconnect tcp: {_dial(error)}", True
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return error.message or f"proxy answered {error.status}", False
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return certificate(error.certificate_error, error.host), False
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        temporary = getattr(error.os_error, "errno", None) == -3  # EAI_AGAIN
        what = "Temporary failure in name resolution" if temporary else "no such host"
        return f"dial tcp: lookup {error.host}: {what}", temporary
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return handshake(error.os_error), False
    if isinstance(error, aiohttp.ClientConnectorError):
        return _dial(error), error.os_error.errno not in (errno.ECONNREFUSED, errno.EHOSTUNREACH)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "dial tcp: i/o timeout", True
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF", True
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        if reached:
            return "net/http: request canceled (Client.Timeout while reading body)", True
        return (
            "net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
            True,
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return certificate(error, ""), False
    if isinstance(error, ssl.SSLError):
        return handshake(error), True
    if isinstance(error, aiohttp.ClientPayloadError):
        return "unexpected EOF", True
    if isinstance(error, OSError):
        # With TLS 1.3 a server refuses our certificate only after the handshake.
        if isinstance(error.__cause__, ssl.SSLError):
            return handshake(error.__cause__), False
        if error.errno == errno.EPIPE:
            return "write: broken pipe", True
        if error.errno == errno.ECONNRESET:
            return "read: connection reset by peer", True
        return (error.strerror or str(error) or type(error).__name__).lower(), True
    if isinstance(error, aiohttp.ClientResponseError):
        text = " ".join((error.message or "").split())[:200]
        return (
            f'net/http: HTTP/1.x transport connection broken: malformed HTTP response "{text}"',
            (False),
        )
    if isinstance(error, aiohttp.InvalidURL):
        return "invalid URL", False
    return str(error) or type(error).__name__, False


def _dial(error: object) -> str:
    os_error: OSError = error.os_error  # type: ignore[attr-defined]
    host, port = error.host, error.port  # type: ignore[attr-defined]
    found = _CALL_FAILED.search(str(os_error))
    if found:
        host, port = found[1], found[2]
    where = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    what = {
        errno.ECONNREFUSED: "connect: connection refused",
        errno.EHOSTUNREACH: "connect: no route to host",
        errno.ENETUNREACH: "connect: network is unreachable",
        errno.ETIMEDOUT: "connect: connection timed out",
        errno.ECONNRESET: "connect: connection reset by peer",
        errno.EADDRNOTAVAIL: "connect: cannot assign requested address",
    }.get(os_error.errno or 0)
    return f"dial tcp {where}: {what or os_error.strerror or 'connect failed'}"


def certificate(error: BaseException, host: str) -> str:
    """Why a certificate isn't good."""
    code = getattr(error, "verify_code", 0)
    prefix = "tls: failed to verify certificate: x509: "
    if code in _EXPIRED:
        return f"{prefix}certificate has expired or is not yet valid"
    if code == _HOSTNAME:
        return f"{prefix}certificate is not valid for {host or 'this host'}"
    if code == _ADDRESS:
        return f"{prefix}cannot validate certificate for {host} because it doesn't contain it"
    if code in (18, 19, 20, 21, 2, 27):
        return f"{prefix}certificate signed by unknown authority"
    return f"{prefix}{getattr(error, 'verify_message', '') or error}"


def handshake(error: BaseException) -> str:
    """Why there was no TLS."""
    text = str(getattr(error, "reason", "") or error)
    if any(word in text for word in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER")):
        return "http: server gave HTTP response to HTTPS client"
    if "CERTIFICATE_REQUIRED" in text:
        return "remote error: tls: certificate required"
    if "BAD_CERTIFICATE" in text or "UNKNOWN_CA" in text:
        return "remote error: tls: bad certificate"
    if "UNEXPECTED_EOF" in text or "EOF occurred" in text:
        return "EOF"
    if isinstance(error, ConnectionResetError):
        return "read: connection reset by peer"
    return f"remote error: tls: {text.lower().replace('_', ' ')}"
