"""A client's session as a build's client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from pierhead.build.buildkit import messages, session, wire
from pierhead.build.buildkit.session import Session, SessionClient, Sessions
from pierhead.build.model import Output, Wanted
from pierhead.errors import Conflict, InvalidParameter, NotFound
from support.buildkit import Shared, StubBuilds, door_on, session_of

PACKAGE = "moby.filesync.v1"


async def get_secret(stream: Any) -> None:
    request = await stream.recv_message()
    if request.ID != "s":
        raise GRPCError(Status.NOT_FOUND, f"secret {request.ID} not found")
    reply = messages.get("moby.buildkit.secrets.v1.GetSecretResponse")
    await stream.send_message(reply(data=b"psst"))


async def credentials(stream: Any) -> None:
    request = await stream.recv_message()
    known = {"registry-1.docker.io": ("hub", "pw"), "r:5000": ("", "token")}
    user, secret = known.get(request.Host, ("", ""))
    reply = messages.get(f"{PACKAGE}.CredentialsResponse")
    await stream.send_message(reply(Username=user, Secret=secret))


async def check_agent(stream: Any) -> None:
    request = await stream.recv_message()
    if request.ID != "default":
        raise GRPCError(Status.UNKNOWN, f"unset ssh forward key {request.ID}")
    await stream.send_message(messages.get("moby.sshforward.v1.CheckAgentResponse")())


async def forward_agent(stream: Any) -> None:
    assert stream.metadata["buildkit.ssh.id"] == "default"
    async for message in stream:
        await stream.send_message(type(message)(data=message.data[::-1]))


async def pull(stream: Any) -> None:
    assert stream.metadata["urlpath"] == "/u1"
    for part in (b"one", b"two"):
        await stream.send_message(messages.get("moby.upload.v1.BytesMessage")(data=part))


SECRETS = "moby.buildkit.secrets.v1"
SSH = "moby.sshforward.v1"
UPLOAD = "moby.upload.v1.BytesMessage"


def services() -> dict[str, Any]:
    return {
        session.GET_SECRET: wire.handler(
            get_secret, wire.UNARY, f"{SECRETS}.GetSecretRequest", f"{SECRETS}.GetSecretResponse"
        ),
        session.CREDENTIALS: wire.handler(
            credentials,
            wire.UNARY,
            f"{PACKAGE}.CredentialsRequest",
            f"{PACKAGE}.CredentialsResponse",
        ),
        session.CHECK_AGENT: wire.handler(
            check_agent, wire.UNARY, f"{SSH}.CheckAgentRequest", f"{SSH}.CheckAgentResponse"
        ),
        session.FORWARD_AGENT: wire.handler(
            forward_agent, wire.BOTH_STREAM, f"{SSH}.BytesMessage", f"{SSH}.BytesMessage"
        ),
        session.UPLOAD: wire.handler(pull, wire.BOTH_STREAM, UPLOAD, UPLOAD),
    }


async def test_secrets_credentials_agents_uploads() -> None:
    door = door_on(StubBuilds())
    async with session_of(door, services()) as session_id:
        client = SessionClient(door.sessions, session_id)
        client.serve_also(upload_id="u1")
        assert await client.secret("s") == b"psst"
        assert await client.secret("other") is None
        assert await client.credentials("docker.io") == ("hub", "pw")
        assert await client.credentials("r:5000") == ("", "token")
        assert await client.credentials("nowhere") is None
        assert await client.ssh("other") is None
        agent = await client.ssh("")
        assert agent is not None
        line = await agent.connect()
        await line.write(b"abc")
        assert await line.read() == b"cba"
        await line.close()
        tar = await client.context_tar()
        assert tar is not None
        assert [part async for part in tar] == [b"one", b"two"]


async def test_what_a_client_does_not_serve() -> None:
    door = door_on(StubBuilds())
    async with session_of(door, {}) as session_id:
        client = SessionClient(door.sessions, session_id)
        assert await client.secret("s") is None
        assert await client.ssh("") is None
        assert await client.credentials("r") is None
        assert await client.context_tar() is None
        with pytest.raises(NotFound, match="shares no files"):
            await anext(client.local("context", Wanted()))
        with pytest.raises(InvalidParameter, match="takes no files"):
            await client.receive(Output(type="tar")).write(b"x")
        with pytest.raises(NotFound, match="content store"):
            await client.store("local:x")
    with pytest.raises(InvalidParameter, match="no session"):
        await SessionClient(door.sessions, "").secret("s")


async def test_local_sources_of_two_sessions() -> None:
    door = door_on(StubBuilds())
    one, two = Shared({"Dockerfile": b"one"}), Shared({"Dockerfile": b"two"})
    async with session_of(door, one.mapping(), "s1"), session_of(door, two.mapping(), "s2"):
        client = SessionClient(door.sessions, "s1")
        client.serve_also(local_sessions={"context": "s2"})
        found = []
        for name in ("dockerfile", "context"):
            async for listing in client.local(name, Wanted(exclude=["*.o"])):
                assert [file.size async for file in listing.files()] == [3]
                found += [part async for part in listing.content(b"Dockerfile")]
        assert found == [b"one", b"two"]
        assert one.asked[0]["dir-name"] == ["dockerfile"]
        assert two.asked[0]["exclude-patterns"] == ["*.o"]


async def test_the_context_by_http() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"tar"

    client = SessionClient(Sessions(), "", tar=chunks())
    tar = await client.context_tar()
    assert tar is not None
    assert [part async for part in tar] == [b"tar"]


async def test_stores_as_local_sources() -> None:
    client = SessionClient(Sessions(), "s")
    client.serve_also(cache_sources={"cache-from:0": "local:/c"})
    asked: list[str] = []

    async def store(store_id: str) -> Any:
        asked.append(store_id)

    client.store = store  # type: ignore[method-assign]
    for name in ("cache-from:0", "oci-layout:abc"):
        async for listing in client.local(name, Wanted()):
            assert [file async for file in listing.files()] == []
    assert asked == ["local:/c", "oci:abc"]


async def test_sessions_appear_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions()
    channel: Any = SimpleNamespace(close=lambda: None)
    mine = Session("a", channel, frozenset({"/x/y"}), "key")
    assert mine.serves("/X/Y")
    waiting = asyncio.create_task(sessions.get("prefix:a"))
    await asyncio.sleep(0)
    await sessions.add(mine)
    assert await waiting is mine
    with pytest.raises(Conflict, match="session a already exists"):
        await sessions.add(mine)
    await sessions.remove(mine)
    monkeypatch.setattr(session, "APPEAR_S", 0.01)
    with pytest.raises(NotFound, match="no active session for a"):
        await sessions.get("a")
