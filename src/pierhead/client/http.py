"""The Engine API client: HTTP/1.1 over a unix socket, TCP or TLS, and hijacked streams.

Made for a command that lives a few milliseconds: only ``_socket`` is imported, requests
are blocking, idle connections are kept and used again. ``Client.request`` answers a
``Response`` once the head has arrived; its body is read on demand. ``Client.hijack``
turns the connection into a two-way stream (attach, exec).

API version: every path is sent below ``/v<version>``. We begin with our own newest
version (or ``DOCKER_API_VERSION``); an older daemon says in its refusal which one it
speaks, and we repeat the request with that. So nothing is asked in advance, and a
daemon of our own age costs no extra round trip. A request with a body that can be sent
only once pings first.
"""

from __future__ import annotations

from pierhead.client.errors import ApiError, ConnectFailed, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    Query = Mapping[str, Any]
    Body = bytes | dict[str, Any] | list[Any] | Iterable[bytes] | None

#: The newest Engine API version that this client knows, and the oldest it accepts.
API_VERSION = "1.56"
API_VERSION_MINIMUM = "1.24"

_CHUNK = 65536
_UPGRADE = "Connection: Upgrade\r\nUpgrade: {}\r\n"
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


def quote(text: str, safe: str = "") -> str:
    """Percent-encode ``text`` as UTF-8, leaving ``safe`` characters alone."""
    if all(char in _UNRESERVED or char in safe for char in text):
        return text
    return "".join(
        char
        if char in _UNRESERVED or char in safe
        else "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogateescape"))
        for char in text
    )


def encode_query(query: Query) -> str:
    """``a=1&b=x``: ``None`` is left out, booleans are 1 and 0, dicts become JSON, lists repeat."""
    parts: list[str] = []
    for key, value in query.items():
        if value is None:
            continue
        if isinstance(value, (list, tuple)):
            parts.extend(f"{quote(key)}={quote(str(item))}" for item in value)
            continue
        if value is True or value is False:
            value = "1" if value else "0"
        elif isinstance(value, dict):
            from pierhead.client.json_fast import dumps

            value = dumps(value)
        parts.append(f"{quote(key)}={quote(str(value))}")
    return "&".join(parts)


class Connection:
    """One connection with a read buffer. ``sock`` needs recv, sendall, shutdown, close."""

    __slots__ = ("buffer", "sock")

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.buffer = b""

    def receive(self) -> bytes:
        """Some bytes, the buffered ones first; empty at the end of the stream."""
        if self.buffer:
            data, self.buffer = self.buffer, b""
            return data
        while True:
            try:
                return self.sock.recv(_CHUNK)  # type: ignore[no-any-return]
            except ConnectionResetError:
                return b""

    def read_until(self, mark: bytes) -> bytes:
        """Bytes up to and including ``mark``. Raises ``ProtocolError`` if the stream ends."""
        while True:
            at = self.buffer.find(mark)
            if at >= 0:
                at += len(mark)
                data, self.buffer = self.buffer[:at], self.buffer[at:]
                return data
            kept, self.buffer = self.buffer, b""
            more = self.receive()
            if not more:
                raise ProtocolError("the daemon closed the connection" if kept else "EOF")
            self.buffer = kept + more

    def close(self) -> None:
        """Close the connection; safe to repeat."""
        self.sock.close()


class Response:
    """An answer. ``headers`` has lower-case names. The body can be read once."""

    __slots__ = ("_client", "_connection", "_length", "headers", "status")

    def __init__(
        self,
        client: Client,
        connection: Connection,
        status: int,
        headers: dict[str, str],
        *,
        bodyless: bool,
    ) -> None:
        self._client = client
        self._connection: Connection | None = connection
        self.status = status
        self.headers = headers
        #: Bytes left of a body of known length; -1 chunked, -2 until the end of the stream.
        self._length = 0
        if bodyless or status in (204, 304) or status < 200:
            self._length = 0
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            self._length = -1
        elif "content-length" in headers:
            self._length = int(headers["content-length"])
        else:
            self._length = -2
        if self._length == 0:
            self._finish()

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives. Raises ``ProtocolError`` if it breaks off."""
        connection = self._connection
        if connection is None:
            return
        if self._length == -2:
            while data := connection.receive():
                yield data
            connection.close()
            self._connection = None
        elif self._length == -1:
            while True:
                line = connection.read_until(b"\n")
                size = int(line.partition(b";")[0], 16)
                left = size
                while left:
                    data = connection.receive()
                    if not data:
                        raise ProtocolError("unexpected EOF")
                    if len(data) > left:
                        connection.buffer = data[left:]
                        data = data[:left]
                    left -= len(data)
                    yield data
                while connection.read_until(b"\n") not in (b"\r\n", b"\n"):
                    pass  # trailers, or the line end after the chunk
                if not size:
                    break
            self._finish()
        else:
            while self._length:
                data = connection.receive()
                if not data:
                    raise ProtocolError("unexpected EOF")
                if len(data) > self._length:
                    connection.buffer = data[self._length :]
                    data = data[: self._length]
                self._length -= len(data)
                yield data
            self._finish()

    def lines(self) -> Iterator[bytes]:
        """The body by lines, without their ends, each as soon as it is there."""
        rest = b""
        for data in self.chunks():
            rest += data
            if b"\n" in data:
                *full, rest = rest.split(b"\n")
                yield from full
        if rest:
            yield rest

    def objects(self) -> Iterator[Any]:
        """The body as JSON values one after the other (events, progress, stats)."""
        from pierhead.client.json_fast import loads_at

        rest = b""
        for data in self.chunks():
            rest += data
            while rest := rest.lstrip():
                try:
                    text = rest.decode()
                    value, end = loads_at(text, 0)
                except ValueError:
                    break  # only a part of it is here
                if end == len(text) and text[-1] not in '}]"el':
                    break  # a number may go on
                yield value
                rest = text[end:].encode()

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks())

    def json(self) -> Any:
        """The whole body as one JSON value. Raises ``ProtocolError`` if it isn't."""
        from pierhead.client.json_fast import loads

        try:
            return loads(self.read().decode("utf-8", "replace"))
        except ValueError as error:
            raise ProtocolError(f"invalid answer from the daemon: {error}") from None

    def close(self) -> None:
        """Drop the rest of the body."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def fileno(self) -> int:
        """The descriptor to wait on for more of the body; -1 when there is none."""
        return -1 if self._connection is None else self._connection.sock.fileno()

    def has_data(self) -> bool:
        """Whether a part of the body has arrived and waits in the buffer."""
        return self._connection is not None and bool(self._connection.buffer)

    def _finish(self) -> None:
        """Give the connection back: the body has been read."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self.headers.get("connection", "").lower() == "close" or connection.buffer:
            connection.close()
        else:
            self._client.idle.append(connection)


class Hijacked:
    """A two-way stream: what is sent goes to the process, what arrives is its output.

    ``multiplexed`` tells whether output comes in frames (stream, 3 zeros, length) or raw.
    """

    __slots__ = ("connection", "multiplexed")

    def __init__(self, connection: Connection, multiplexed: bool) -> None:
        self.connection = connection
        self.multiplexed = multiplexed

    def fileno(self) -> int:
        """The descriptor to wait on; mind ``connection.buffer`` and TLS's ``pending``."""
        return self.connection.sock.fileno()  # type: ignore[no-any-return]

    def has_data(self) -> bool:
        """Whether output waits in a buffer, ours or TLS's, where ``poll`` can't see it."""
        pending = getattr(self.connection.sock, "pending", None)
        return bool(self.connection.buffer) or (pending is not None and pending() > 0)

    def receive(self) -> bytes:
        """Some bytes of output, empty at its end."""
        return self.connection.receive()

    def send(self, data: bytes) -> None:
        """Send input. Raises ``OSError`` if the other side is gone."""
        self.connection.sock.sendall(data)

    def close_write(self) -> None:
        """Tell the process that its input is at the end, and go on reading."""
        sock = self.connection.sock
        try:
            if hasattr(sock, "unwrap"):
                from pierhead.client.tls import send_close_notify

                send_close_notify(sock)
            else:
                sock.shutdown(1)
        except OSError:
            pass

    def close(self) -> None:
        """Close both directions."""
        self.connection.close()


class Pending:
    """A request that has been sent and whose answer nobody has read yet."""

    __slots__ = ("_client", "_connection", "_method", "_upgrade")

    def __init__(self, client: Client, connection: Connection, method: str, upgrade: bool) -> None:
        self._client = client
        self._connection = connection
        self._method = method
        self._upgrade = upgrade

    def response(self) -> Response:
        """Wait for the head of the answer. Raises ``ApiError`` for a status of 400 and more."""
        response = self._client._read_head(self._connection, self._method, self._upgrade)
        if response.status >= 400:
            raise ApiError(response.status, _error_message(response))
        return response

    def hijacked(self) -> Hijacked:
        """Wait until the connection is a two-way stream. Raises as ``response`` does."""
        response = self.response()
        if response.status not in (101, 200):
            raise ProtocolError(f"unable to upgrade to tcp, received {response.status}")
        self._client.settled = True
        kind = response.headers.get("content-type", "")
        return Hijacked(self._connection, kind.endswith("multiplexed-stream"))


class Client:
    """Requests to one daemon. ``host`` is ``unix://``, ``tcp://``, ``http(s)://`` or ``fd``-less.

    ``tls`` is ``None`` or a callable ``(socket, server_name) -> socket`` (see
    ``pierhead.client.tls``). ``version`` pins the API version; without it the newest one
    is tried and the daemon's word taken.
    """

    def __init__(
        self,
        host: str,
        *,
        version: str | None = None,
        tls: Any = None,
        headers: Mapping[str, str] | None = None,
        user_agent: str = "pier",
    ) -> None:
        self.host = host
        self.version = version or API_VERSION
        self.tls = tls
        #: Set once the daemon is known to accept ``version``, or when it was pinned.
        self.settled = version is not None
        self.server_version: str | None = None
        self.idle: list[Connection] = []
        scheme, _, rest = host.partition("://")
        self.scheme = scheme
        self.address = rest
        name = "localhost" if scheme == "unix" else rest.partition("/")[0]
        common = f"Host: {name}\r\nUser-Agent: {user_agent}\r\n"
        for key, value in (headers or {}).items():
            common += f"{key}: {value}\r\n"
        self._common = common

    # Connections

    def connect(self) -> Connection:
        """A new connection. Raises ``ConnectFailed``."""
        import _socket

        try:
            if self.scheme == "unix":
                sock: Any = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
                sock.connect(self.address)
            elif self.scheme in ("tcp", "http", "https"):
                from pierhead.client.tcp import open_tcp

                sock = open_tcp(self.address.partition("/")[0], self.tls)
            else:
                raise ConnectFailed(f"unsupported daemon address {self.host!r}")
        except (FileNotFoundError, ConnectionRefusedError, TimeoutError) as error:
            raise ConnectFailed(
                f"Cannot connect to the Docker daemon at {self.host}. Is pierd running?"
            ) from error
        except PermissionError as error:
            raise ConnectFailed(
                "permission denied while trying to connect to the Docker daemon socket at "
                f"{self.host}: connect: permission denied"
            ) from error
        except OSError as error:
            raise ConnectFailed(f"error during connect: {self.host}: {error}") from error
        return Connection(sock)

    # Requests

    def request(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        *,
        check: bool = True,
        versioned: bool = True,
    ) -> Response:
        """Send a request, answer when the head of the response is there.

        ``path`` begins with ``/``, already quoted (see ``quote``), without the version.
        ``body``: a dict or list goes as JSON, bytes as they are, an iterable of bytes
        chunked as ``application/x-tar`` unless ``headers`` say otherwise.
        Raises ``ApiError`` for a status of 400 and more unless ``check`` is false,
        ``ConnectFailed`` and ``ProtocolError``.
        """
        once = body is not None and not isinstance(body, (bytes, dict, list))
        if once and versioned and not self.settled:
            self.negotiate()
        while True:
            response = self._exchange(method, path, query, body, headers, versioned, None)
            assert isinstance(response, Response)
            if response.status < 400:
                if versioned:
                    self.settled = True
                return response
            if not check:
                return response
            message = _error_message(response)
            if response.status == 400 and not self.settled:
                if self._take_version(message):
                    continue
                if method == "HEAD" and versioned:
                    # No body, so no reason: ask which versions it speaks.
                    before = self.version
                    if self.negotiate() != before:
                        continue
            self.settled = True
            raise ApiError(response.status, message)

    def get(self, path: str, query: Query | None = None) -> Any:
        """GET and decode the JSON answer."""
        return self.request("GET", path, query).json()

    def post(self, path: str, query: Query | None = None, body: Body = None) -> Any:
        """POST and decode the JSON answer; ``None`` if it is empty."""
        response = self.request("POST", path, query, body)
        if response.status == 204 or response.headers.get("content-length") == "0":
            return None
        return response.json()

    def delete(self, path: str, query: Query | None = None) -> Response:
        """DELETE."""
        return self.request("DELETE", path, query)

    def hijack(
        self,
        path: str,
        query: Query | None = None,
        body: Body = None,
        *,
        upgrade: str = "tcp",
    ) -> Hijacked:
        """POST and take the connection over as a two-way stream. Raises as ``request`` does."""
        while True:
            try:
                return self.begin_hijack(path, query, body, upgrade=upgrade).hijacked()
            except ApiError as error:
                if error.status == 400 and not self.settled and self._take_version(error.message):
                    continue
                raise

    def begin_hijack(
        self,
        path: str,
        query: Query | None = None,
        body: Body = None,
        *,
        upgrade: str = "tcp",
    ) -> Pending:
        """Send what ``hijack`` sends and don't wait; go on with ``Pending.hijacked``."""
        wanted = _UPGRADE.format(upgrade)
        pending = self._exchange("POST", path, query, body, None, True, wanted, later=True)
        assert isinstance(pending, Pending)
        return pending

    def begin(self, method: str, path: str, query: Query | None = None) -> Pending:
        """Send a request and don't wait; go on with ``Pending.response``.

        For requests that are to be on their way at the same time, once the API version
        is settled.
        """
        pending = self._exchange(method, path, query, None, None, True, None, later=True)
        assert isinstance(pending, Pending)
        return pending

    def ping(self) -> dict[str, str]:
        """The headers of ``/_ping``: ``api-version``, ``ostype``, ``builder-version``..."""
        return self.request("HEAD", "/_ping", versioned=False).headers

    def negotiate(self) -> str:
        """Settle the API version by a ping, and return it."""
        if not self.settled:
            offered = self.ping().get("api-version", API_VERSION)
            if _version_key(offered) < _version_key(self.version):
                self.version = offered
            self.settled = True
        return self.version

    def version_at_least(self, version: str) -> bool:
        """Whether the API version in use (asked for if need be) is ``version`` or newer."""
        return _version_key(self.negotiate()) >= _version_key(version)

    def close(self) -> None:
        """Close idle connections."""
        while self.idle:
            self.idle.pop().close()

    def _take_version(self, message: str) -> bool:
        """Read the daemon's newest version from its refusal of ours."""
        if "too new" not in message or not self.version:
            return False
        offered = message.rpartition(" ")[2].rstrip(".")
        if not offered.replace(".", "").isdigit() or "." not in offered:
            return False
        self.version = offered
        self.settled = True
        return True

    def _exchange(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: Body,
        headers: Mapping[str, str] | None,
        versioned: bool,
        upgrade: str | None,
        later: bool = False,
    ) -> Response | Pending:
        target = f"/v{self.version}{path}" if versioned else path
        if query:
            encoded = encode_query(query)
            if encoded:
                target += f"?{encoded}"
        head = f"{method} {target} HTTP/1.1\r\n{self._common}"
        if upgrade:
            head += upgrade
        for key, value in (headers or {}).items():
            head += f"{key}: {value}\r\n"
        given = {key.lower() for key in headers or ()}
        payload = b""
        stream: Iterable[bytes] | None = None
        if isinstance(body, (dict, list)):
            from pierhead.client.json_fast import dumps

            payload = dumps(body).encode()
            head += "Content-Type: application/json\r\n"
        elif isinstance(body, bytes):
            payload = body
        elif body is not None:
            stream = body
            if "content-type" not in given:
                head += "Content-Type: application/x-tar\r\n"
        if stream is not None:
            head += "Transfer-Encoding: chunked\r\n"
        elif payload or method in ("POST", "PUT"):
            head += f"Content-Length: {len(payload)}\r\n"
        data = (head + "\r\n").encode("latin-1", "replace") + payload

        while True:
            reused = bool(self.idle) and stream is None
            connection = self.idle.pop() if reused else self.connect()
            try:
                connection.sock.sendall(data)
                if stream is not None:
                    _send_chunked(connection, stream)
                if later:
                    return Pending(self, connection, method, upgrade is not None)
                return self._read_head(connection, method, upgrade is not None)
            except (ProtocolError, BrokenPipeError, ConnectionResetError) as error:
                connection.close()
                if reused:
                    continue  # the daemon had closed it while it was idle
                raise ProtocolError(
                    f"error during connect: {method} {self.host}{target}: {error}"
                ) from error

    def _read_head(self, connection: Connection, method: str, upgrade: bool) -> Response:
        head = connection.read_until(b"\r\n\r\n").decode("latin-1")
        first, _, rest = head.partition("\r\n")
        version, _, status_text = first.partition(" ")
        if not version.startswith("HTTP/") or not status_text[:3].isdigit():
            if self.tls is None and self.scheme != "unix":
                raise ProtocolError(
                    "malformed HTTP response. "
                    "Are you trying to connect to a TLS-enabled daemon without TLS?"
                )
            raise ProtocolError(f"malformed HTTP response {first!r}")
        status = int(status_text[:3])
        headers: dict[str, str] = {}
        for line in rest.split("\r\n"):
            key, colon, value = line.partition(":")
            if colon:
                headers[key.lower()] = value.strip()
        if "api-version" in headers:
            self.server_version = headers["api-version"]
        if status == 100:
            return self._read_head(connection, method, upgrade)
        if upgrade and status in (101, 200):
            # Not a body: keep the connection, whatever the headers say.
            headers.pop("content-length", None)
            headers.pop("transfer-encoding", None)
            response = Response(self, connection, 200, headers, bodyless=False)
            response.status = status
            return response
        return Response(self, connection, status, headers, bodyless=method == "HEAD")


def _send_chunked(connection: Connection, stream: Iterable[bytes]) -> None:
    """Send a body of unknown length. An early answer of the daemon ends the sending."""
    try:
        for data in stream:
            if data:
                connection.sock.sendall(b"%x\r\n" % len(data) + data + b"\r\n")
        connection.sock.sendall(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        pass  # it may have answered already; reading tells


def _error_message(response: Response) -> str:
    body = response.read().decode("utf-8", "replace").strip()
    if body.startswith("{"):
        from pierhead.client.json_fast import loads

        try:
            value = loads(body)
            if isinstance(value, dict) and isinstance(value.get("message"), str):
                return str(value["message"]).strip()
        except ValueError:
            pass
    return body or f"request returned status {response.status} without a message"


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))
