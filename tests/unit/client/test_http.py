from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pierhead.client.errors import ApiError, ConnectFailed, ProtocolError
from pierhead.client.http import API_VERSION, Client, Connection, Hijacked, encode_query, quote
from support.wire_daemon import (
    UPGRADED,
    WireDaemon,
    WireRequest,
    chunked,
    failure,
    frame,
    respond,
)

Start = Callable[..., WireDaemon]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Start]:
    started: list[WireDaemon] = []

    def start(**answers: object) -> WireDaemon:
        named = {key.replace("_", " ", 1): value for key, value in answers.items()}
        started.append(WireDaemon(tmp_path, named))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_a_request_and_its_answer(daemon: Start) -> None:
    server = daemon(**{"GET_/info": respond({"Name": "x"}, headers={"Api-Version": "1.56"})})
    client = Client(server.host)
    assert client.get("/info", {"a": True, "b": None, "c": ["x y", 1]}) == {"Name": "x"}
    request = server.requests[0]
    assert (request.version, request.query) == (API_VERSION, "a=1&c=x%20y&c=1")
    assert request.headers["host"] == "localhost"
    assert client.server_version == "1.56"


def test_connections_are_used_again(daemon: Start) -> None:
    server = daemon(**{"GET_/a": respond(b"1"), "GET_/b": chunked(b"2", b"3")})
    client = Client(server.host)
    for _ in range(3):
        assert client.request("GET", "/a").read() == b"1"
        assert client.request("GET", "/b").read() == b"23"
    assert server.connections == 1


def test_a_connection_that_died_idle_is_replaced(daemon: Start) -> None:
    def once(request: WireRequest) -> None:
        request.sock.sendall(respond(b"1"))
        request.sock.close()

    server = daemon(**{"GET_/a": once})
    client = Client(server.host)
    assert [client.request("GET", "/a").read() for _ in range(3)] == [b"1"] * 3


@pytest.mark.parametrize(
    ("body", "kind", "sent"),
    [
        ({"A": [1, "ü"]}, "application/json", b'{"A":[1,"\\u00fc"]}'),
        (b"raw", None, b"raw"),
        (iter([b"one", b"", b"two"]), "application/x-tar", b"onetwo"),
    ],
)
def test_bodies(daemon: Start, body: object, kind: str | None, sent: bytes) -> None:
    server = daemon(**{"POST_/x": respond(b""), "HEAD_/_ping": respond(b"")})
    Client(server.host).request("POST", "/x", body=body)  # type: ignore[arg-type]
    assert server.requests[-1].body == sent
    assert server.requests[-1].headers.get("content-type") == kind


def test_errors_carry_the_daemons_message(daemon: Start) -> None:
    server = daemon(**{"GET_/a": failure("409 Conflict", "is running")})
    with pytest.raises(ApiError, match=r"^Error response from daemon: is running$") as caught:
        Client(server.host).get("/a")
    assert caught.value.status == 409


def test_an_error_without_json(daemon: Start) -> None:
    server = daemon(**{"GET_/a": respond(b"oops\n", "502 Bad Gateway")})
    with pytest.raises(ApiError, match="oops"):
        Client(server.host).get("/a")


def _old(request: WireRequest) -> bytes:
    if request.version and request.version != "1.41":
        return failure(
            "400 Bad Request",
            f"client version {request.version} is too new. Maximum supported API version is 1.41",
        )
    return respond({"v": request.version}, headers={"Api-Version": "1.41"})


def test_an_older_daemon_is_asked_again_in_its_version(daemon: Start) -> None:
    server = daemon(**{"GET_/a": _old, "GET_/b": _old})
    client = Client(server.host)
    assert client.get("/a") == {"v": "1.41"}
    assert client.get("/b") == {"v": "1.41"}
    assert [request.version for request in server.requests] == [API_VERSION, "1.41", "1.41"]
    assert not client.version_at_least("1.42")


def test_a_refused_head_says_no_reason_so_the_daemon_is_asked(daemon: Start) -> None:
    server = daemon(**{"HEAD_/a": _old, "HEAD_/_ping": _old})
    assert Client(server.host).request("HEAD", "/a").status == 200
    assert server.seen() == ["HEAD /a", "HEAD /_ping", "HEAD /a"]


def test_a_body_that_goes_only_once_waits_for_the_version(daemon: Start) -> None:
    server = daemon(**{"PUT_/a": _old, "HEAD_/_ping": _old})
    Client(server.host).request("PUT", "/a", body=iter([b"tar"]))
    assert server.seen() == ["HEAD /_ping", "PUT /a"]
    assert server.requests[-1].body == b"tar"


def test_a_pinned_version_is_not_negotiated(daemon: Start) -> None:
    server = daemon(**{"GET_/a": _old})
    with pytest.raises(ApiError, match="too new"):
        Client(server.host, version="1.50").get("/a")
    assert len(server.requests) == 1


def test_streams_of_objects_and_lines(daemon: Start) -> None:
    parts = (b'{"a":', b'1}\r\n{"a":2}{"a":"', "ü".encode()[:1], "ü".encode()[1:] + b'"}', b"\n")
    server = daemon(**{"GET_/o": chunked(*parts), "GET_/l": chunked(b"x\ny", b"z\n", b"end")})
    client = Client(server.host)
    assert list(client.request("GET", "/o").objects()) == [{"a": 1}, {"a": 2}, {"a": "ü"}]
    assert list(client.request("GET", "/l").lines()) == [b"x", b"yz", b"end"]


def test_a_body_that_breaks_off(daemon: Start) -> None:
    def cut(request: WireRequest) -> None:
        request.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        request.sock.close()

    server = daemon(**{"GET_/a": cut})
    with pytest.raises(ProtocolError, match="unexpected EOF"):
        Client(server.host).request("GET", "/a").read()


def test_hijack(daemon: Start) -> None:
    def echo(request: WireRequest) -> None:
        assert request.headers["upgrade"] == "tcp"
        # Head and first output may arrive in one piece.
        request.sock.sendall(UPGRADED + frame(1, b"hello"))
        data = b""
        while part := request.sock.recv(100):
            data += part
        request.sock.sendall(frame(1, data))
        request.sock.close()

    server = daemon(**{"POST_/attach": echo})
    stream = Client(server.host).hijack("/attach", {"stream": True}, {"Detach": False})
    assert stream.multiplexed
    assert stream.receive() == frame(1, b"hello")
    stream.send(b"input")
    stream.close_write()
    assert stream.receive() == frame(1, b"input")
    assert stream.receive() == b""
    stream.close()


def test_two_requests_on_their_way_at_once(daemon: Start) -> None:
    server = daemon(**{"GET_/a": respond({"n": 1}), "GET_/b": respond({"n": 2})})
    client = Client(server.host)
    first, second = client.begin("GET", "/a"), client.begin("GET", "/b")
    assert second.response().json() == {"n": 2}
    assert first.response().json() == {"n": 1}


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(ConnectFailed, match="Cannot connect to the Docker daemon at unix:///"):
        Client(f"unix://{tmp_path}/none.sock").get("/info")


def test_something_else_listens(daemon: Start) -> None:
    server = daemon(**{"GET_/a": b"SSH-2.0-OpenSSH_9\r\n\r\n\r\n"})
    with pytest.raises(ProtocolError, match="malformed HTTP response"):
        Client(server.host).get("/a")


def test_quoting() -> None:
    assert quote("a b/ü", "/") == "a%20b/%C3%BC"
    assert encode_query({"filters": {"label": ["a=b"]}, "n": False, "z": ()}) == (
        "filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D&n=0"
    )


class TlsLike:
    """A socket with something decrypted that nobody has read."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting

    def pending(self) -> int:
        return self.waiting


def test_output_may_wait_where_poll_cannot_see_it() -> None:
    assert Hijacked(Connection(TlsLike(3)), False).has_data()
    assert not Hijacked(Connection(TlsLike(0)), False).has_data()
    connection = Connection(object())
    assert not Hijacked(connection, False).has_data()
    connection.buffer = b"x"
    assert Hijacked(connection, False).has_data()
