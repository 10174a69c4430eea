"""TLS settings for a daemon at the other end of TCP; imported only when TLS is used."""

from __future__ import annotations

from pierhead.client.errors import ConnectFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def tls_wrapper(
    *, ca: str | None, cert: str | None, key: str | None, verify: bool
) -> Callable[[Any, str], Any]:
    """A function that puts TLS on a connected socket.

    With ``verify`` the server must show a certificate for its name, signed by ``ca`` (or
    by a CA of the system). ``cert`` and ``key`` are ours, both or none. Raises
    ``ConnectFailed`` for files that can't be read.
    """
    import ssl

    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if ca and verify:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if cert and key:
            context.load_cert_chain(cert, key)
    except OSError as error:
        reason = str(error)
        if isinstance(error, FileNotFoundError):
            reason = f"open {_missing(ca, cert, key)}: no such file or directory"
        raise ConnectFailed(
            f"Failed to initialize: unable to resolve docker endpoint: {reason}"
        ) from error

    def wrap(sock: Any, name: str) -> Any:
        try:
            return context.wrap_socket(sock, server_hostname=name)
        except ssl.SSLError as error:
            raise ConnectFailed(f"error during connect: {name}: tls: {error.reason}") from error

    return wrap


def _missing(*paths: str | None) -> str:
    """The first of the files that isn't there: OpenSSL doesn't say which."""
    import posix

    for path in paths:
        if path:
            try:
                posix.stat(path)
            except OSError:
                return path
    return ""


def send_close_notify(sock: Any) -> None:
    """Half close a TLS connection: say that no more will be sent, and go on reading.

    After sending its alert, OpenSSL reads the other side's, and takes data that comes
    instead for a fault of the connection, which is over then. So for that moment a pair of
    our own stands in the socket's place: it has nothing to read, and hands us the alert.
    """
    import os
    import socket

    blocking = sock.getblocking()
    sock.setblocking(False)
    fd = sock.fileno()
    stand_in, alert = socket.socketpair()
    real = os.dup(fd)
    try:
        stand_in.setblocking(False)
        alert.setblocking(False)
        os.dup2(stand_in.fileno(), fd, inheritable=False)
        try:
            sock._sslobj.shutdown()
        except OSError:
            pass  # it wants to read, as it should
        finally:
            os.dup2(real, fd, inheritable=False)
            sock.setblocking(blocking)
        os.write(fd, alert.recv(4096))
    except OSError:
        pass  # the connection is gone already
    finally:
        os.close(real)
        stand_in.close()
        alert.close()
