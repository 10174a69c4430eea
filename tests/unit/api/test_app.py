"""From the request line to the handler and back."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pierhead.errors import Conflict, Internal, NotModified
from support.api import fake_engine, serving


class Boom:
    """A service whose every method raises what it was made with."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def call(*args: object, **kwargs: object) -> Any:
            raise self._error

        return call


async def test_ping_answers_get_and_head(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path), tmp_path) as ask:
        answer = await ask("GET", "/_ping")
        assert (answer.status, answer.body) == (200, b"OK")
        assert answer.headers["api-version"] == "1.56"
        assert answer.headers["docker-experimental"] == "false"
        assert answer.headers["ostype"] == "linux"
        assert answer.headers["builder-version"] == "2"
        assert answer.headers["swarm"] == "inactive"
        assert answer.headers["server"].startswith("Pierhead/")
        assert "no-store" in answer.headers["cache-control"]
        head = await ask("HEAD", "/v1.40/_ping")
        assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize("path", ["/", "/nothing", "/v1.40/nothing", "/containers", "/v1.40"])
async def test_unknown_page(tmp_path: Path, path: str) -> None:
    async with serving(fake_engine(tmp_path), tmp_path) as ask:
        answer = await ask("GET", path)
        assert answer.status == 404
        assert answer.json() == {"message": "page not found"}


async def test_unknown_method_is_page_not_found(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path), tmp_path) as ask:
        assert (await ask("DELETE", "/_ping")).status == 404


async def test_version_too_old_and_too_new(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path), tmp_path) as ask:
        old = await ask("GET", "/v1.10/info")
        assert old.status == 400
        assert old.message == (
            "client version 1.10 is too old. Minimum supported API version is 1.24, "
            "please upgrade your client to a newer version"
        )
        new = await ask("GET", "/v1.99/info")
        assert new.message == (
            "client version 1.99 is too new. Maximum supported API version is 1.56"
        )
        assert new.headers["api-version"] == "1.56"


async def test_kinds_become_statuses(tmp_path: Path) -> None:
    engine = fake_engine(tmp_path, containers=Boom(Conflict("no")))
    async with serving(engine, tmp_path) as ask:
        answer = await ask("POST", "/containers/x/pause")
        assert (answer.status, answer.message) == (409, "no")


async def test_not_modified_has_no_body(tmp_path: Path) -> None:
    engine = fake_engine(tmp_path, containers=Boom(NotModified("already")))
    async with serving(engine, tmp_path) as ask:
        answer = await ask("POST", "/containers/x/start")
        assert (answer.status, answer.body) == (304, b"")


@pytest.mark.parametrize("error", [ZeroDivisionError("ouch"), Internal("disk is gone")])
async def test_a_bug_is_logged_once_and_answers_500(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    engine = fake_engine(tmp_path, containers=Boom(error))
    async with serving(engine, tmp_path) as ask:
        with caplog.at_level(logging.ERROR):
            answer = await ask("POST", "/containers/x/pause")
    assert answer.status == 500
    assert str(error) in answer.message
    assert len(caplog.records) == 1


async def test_bodies_are_checked(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path), tmp_path) as ask:
        bad = await ask(
            "POST", "/volumes/create", b'{"Name": 3}', {"Content-Type": "application/json"}
        )
        assert bad.status == 400
        assert "Name" in bad.message and "string" in bad.message
        form = await ask("POST", "/volumes/create", b"x=1", {"Content-Type": "text/plain"})
        assert form.message == (
            "unsupported Content-Type header (text/plain): must be 'application/json'"
        )
        none = await ask("POST", "/volumes/create", b"{}")
        assert none.status == 400 and "Content-Type" in none.message
        cut = await ask("POST", "/volumes/create", b'{"Name"', {"Content-Type": "application/json"})
        assert cut.message.startswith("invalid JSON")


async def test_too_large_a_body_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path), tmp_path) as ask:
        reader, writer = await ask.connect()
        writer.write(
            b"POST /volumes/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99999999\r\n\r\n"
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert b" 413 " in head.split(b"\r\n")[0]


async def test_expect_continue_is_honoured(tmp_path: Path) -> None:
    made: list[tuple[object, ...]] = []

    async def create(*args: object) -> dict[str, str]:
        made.append(args)
        return {"Name": "v"}

    engine = fake_engine(tmp_path, volumes=SimpleNamespace(create=create))
    async with serving(engine, tmp_path) as ask:
        reader, writer = await ask.connect()
        writer.write(
            b"POST /volumes/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
            b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        assert b"100 Continue" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.write(b"{}")
        assert b" 201 " in await asyncio.wait_for(reader.readline(), 5)
    assert made == [(None, "", {}, {})]


async def test_a_vanished_client_ends_its_stream(tmp_path: Path) -> None:
    engine = fake_engine(tmp_path)
    async with serving(engine, tmp_path) as ask:
        reader, writer = await ask.connect()
        writer.write(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert engine.events.listeners == 1
        writer.close()
        for _ in range(100):
            await asyncio.sleep(0.01)
            if not engine.events.listeners:
                break
        assert engine.events.listeners == 0


async def test_malformed_http_is_400_and_not_ours_to_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(fake_engine(tmp_path), tmp_path) as ask:
        reader, writer = await ask.connect()
        writer.write(b"\x16\x03\x01 rubbish\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        assert b" 400 " in answer and b'{"message":"malformed HTTP request' in answer
    assert not caplog.records


async def test_bytes_that_are_not_utf8_come_back_readable(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path), tmp_path) as ask:
        reader, writer = await ask.connect()
        writer.write(
            b"POST /volumes/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\n"
            b"Content-Type: a\xcab\r\nContent-Length: 2\r\n\r\n{}"
        )
        answer = await asyncio.wait_for(reader.read(), 5)
        assert b" 400 " in answer and rb"(a\\udcca" in answer


async def test_keep_alive_serves_the_next_request(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path), tmp_path) as ask:
        reader, writer = await ask.connect()
        for _ in range(3):
            writer.write(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert b" 200 " in head
            assert await reader.readexactly(2) == b"OK"


async def test_a_client_may_shut_its_side_after_asking(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path), tmp_path) as ask:
        reader, writer = await ask.connect()
        writer.write(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
        assert b" 200 " in answer and answer.endswith(b"OK")
        reader, writer = await ask.connect()
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b""
