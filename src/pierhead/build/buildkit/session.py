"""Clients' sessions: what a client serves for its builds, as ``build.model.Client``.

A session is a connection on which we call (``/session``, or the ``Control.Session`` stream).
It has an id that ``Solve`` names, and may come after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pierhead.build.buildkit import messages
from pierhead.build.model import Duplex, Listing, Output, Receiver, SshAgent, Wanted
from pierhead.errors import Conflict, InvalidParameter, NotFound

if TYPE_CHECKING:
    from pierhead.build.buildkit.channel import Channel
    from pierhead.build.buildkit.stores import ContentStore
    from pierhead.build.buildkit.wire import Stream

APPEAR_S: Final = 30.0
"""How long a build waits for a session that it names."""
LAYOUT_PREFIX: Final = "oci-layout:"
"""How a build names an OCI layout that is a named context."""

FILE_SYNC: Final = "/moby.filesync.v1.FileSync/DiffCopy"
FILE_SEND: Final = "/moby.filesync.v1.FileSend/DiffCopy"
CREDENTIALS: Final = "/moby.filesync.v1.Auth/Credentials"
GET_SECRET: Final = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
CHECK_AGENT: Final = "/moby.sshforward.v1.SSH/CheckAgent"
FORWARD_AGENT: Final = "/moby.sshforward.v1.SSH/ForwardAgent"
UPLOAD: Final = "/moby.upload.v1.Upload/Pull"
_EXPORTER_ID: Final = "buildkit-attachable-exporter-id"


class Session:
    """One client's session. ``methods``: what it serves, in small letters."""

    def __init__(
        self, session_id: str, channel: Channel, methods: frozenset[str], shared_key: str
    ) -> None:
        self.id = session_id
        self.channel = channel
        self.methods = methods
        self.shared_key = shared_key

    def serves(self, path: str) -> bool:
        return path.lower() in self.methods


class Sessions:
    """The sessions that are open, by id."""

    def __init__(self) -> None:
        self._open: dict[str, Session] = {}
        self._changed = asyncio.Condition()

    async def add(self, session: Session) -> None:
        """Raises ``Conflict`` if there is one with this id."""
        async with self._changed:
            if session.id in self._open:
                raise Conflict(f"session {session.id} already exists")
            self._open[session.id] = session
            self._changed.notify_all()

    async def remove(self, session: Session) -> None:
        async with self._changed:
            if self._open.get(session.id) is session:
                del self._open[session.id]

    async def get(self, session_id: str) -> Session:
        """Waits for it to appear. Raises ``NotFound``."""
        # A prefix tells builds with different contexts apart; it isn't of the id.
        _, colon, rest = session_id.partition(":")
        wanted = rest if colon and rest else session_id
        try:
            async with asyncio.timeout(APPEAR_S), self._changed:
                await self._changed.wait_for(lambda: wanted in self._open)
                return self._open[wanted]
        except TimeoutError:
            raise NotFound(f"no active session for {wanted}") from None

    def close(self) -> None:
        for session in self._open.values():
            session.channel.close()
        self._open.clear()


class SessionClient:
    """``build.model.Client`` by a session, and by others for some local sources."""

    def __init__(
        self,
        sessions: Sessions,
        session_id: str,
        *,
        tar: AsyncIterator[bytes] | None = None,
        spool: Path | None = None,
        old: bool = False,
    ) -> None:
        """``tar``: the context, where it comes by HTTP; ``spool``: directory for outputs that
        must be whole before they are sent; ``old``: a client of Docker 20.10 or before."""
        self._sessions = sessions
        self.session_id = session_id
        self._local_sessions: dict[str, str] = {}
        self._upload_id = ""
        self._cache_sources: dict[str, str] = {}
        self._tar = tar
        self.spool = spool
        self._old = old
        self.cache_manifests: list[str] = []
        """Descriptors (JSON) of caches that were written into the client's stores."""

    def serve_also(
        self,
        *,
        local_sessions: Mapping[str, str] = MappingProxyType({}),
        upload_id: str = "",
        cache_sources: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """What a frontend's attributes say of the client's sources. ``cache_sources``: name of
        a local source that is one of the client's content stores → its id."""
        self._local_sessions |= local_sessions
        self._upload_id = upload_id or self._upload_id
        self._cache_sources |= cache_sources

    async def _session(self, session_id: str = "") -> Session:
        if not (session_id or self.session_id):
            raise InvalidParameter("this build has no session: nothing of the client can be read")
        return await self._sessions.get(session_id or self.session_id)

    # -- build.model.Client ----------------------------------------------------------------
    async def local(self, name: str, wanted: Wanted) -> AsyncIterator[Listing]:
        from pierhead.build.buildkit.channel import batches
        from pierhead.build.buildkit.filesync import PACKET, RemoteListing, metadata_of

        store_id = self._cache_sources.get(name, "")
        if name.startswith(LAYOUT_PREFIX):
            from pierhead.build.buildkit.stores import OCI_STORE

            store_id = OCI_STORE + name.removeprefix(LAYOUT_PREFIX)
        if store_id:
            from pierhead.build.buildkit.stores import StoreListing

            yield StoreListing(await self.store(store_id))
            return
        session = await self._session(self._local_sessions.get(name, ""))
        if not session.serves(FILE_SYNC):
            raise NotFound(f"the client shares no files, and so no {name}")
        async with session.channel.open(
            FILE_SYNC, PACKET, PACKET, metadata=metadata_of(name, wanted, raw=self._old)
        ) as stream:
            listing = RemoteListing(stream, batches(stream))
            try:
                yield listing
            finally:
                await listing.close()

    async def context_tar(self) -> AsyncIterator[bytes] | None:
        if self._tar is not None:
            return self._tar
        return self._upload() if self._upload_id else None

    async def secret(self, secret_id: str) -> bytes | None:
        session = await self._session()
        if not session.serves(GET_SECRET):
            return None
        request = messages.get("moby.buildkit.secrets.v1.GetSecretRequest")(ID=secret_id)
        try:
            reply = await session.channel.call(
                GET_SECRET, request, "moby.buildkit.secrets.v1.GetSecretResponse"
            )
        except NotFound:
            return None
        data: bytes = reply.data
        return data

    async def ssh(self, agent_id: str) -> SshAgent | None:
        session = await self._session()
        if not session.serves(FORWARD_AGENT):
            return None
        agent_id = agent_id or "default"
        request = messages.get("moby.sshforward.v1.CheckAgentRequest")(ID=agent_id)
        try:
            await session.channel.call(
                CHECK_AGENT, request, "moby.sshforward.v1.CheckAgentResponse"
            )
        except (NotFound, InvalidParameter):
            return None  # "unset ssh forward key default" comes as an unknown error
        return _Agent(session, agent_id)

    async def credentials(self, host: str) -> tuple[str, str] | None:
        if not self.session_id:
            return None
        session = await self._session()
        if not session.serves(CREDENTIALS):
            return None
        # Docker Hub's client side knows it by the name of its registry.
        wanted = "registry-1.docker.io" if host in {"docker.io", "index.docker.io"} else host
        request = messages.get("moby.filesync.v1.CredentialsRequest")(Host=wanted)
        try:
            reply = await session.channel.call(
                CREDENTIALS, request, "moby.filesync.v1.CredentialsResponse"
            )
        except (NotFound, InvalidParameter):
            return None
        return (reply.Username, reply.Secret) if reply.Username or reply.Secret else None

    def receive(self, output: Output) -> Receiver:
        from pierhead.build.buildkit.outputs import receiver_of

        return receiver_of(self, output)

    # -- what the receivers share ------------------------------------------------------------
    @asynccontextmanager
    async def sending(self, output: Output, kind: str) -> AsyncIterator[Stream]:
        """The client's ``FileSend`` for one output."""
        session = await self._session()
        if not session.serves(FILE_SEND):
            raise InvalidParameter(f"the client takes no files: --output type={output.type}")
        metadata = [(_EXPORTER_ID, str(output.number))]
        async with session.channel.open(FILE_SEND, kind, kind, metadata=metadata) as stream:
            yield stream

    async def store(self, store_id: str) -> ContentStore:
        """One of the client's content stores. ``NotFound`` if it serves none."""
        from pierhead.build.buildkit.stores import SERVICE, ContentStore

        session = await self._session()
        if not session.serves(f"{SERVICE}/Read"):
            raise NotFound(f"the client has no content store {store_id}")
        return ContentStore(session.channel, store_id)

    async def _upload(self) -> AsyncIterator[bytes]:
        session = await self._session()
        metadata = [("urlpath", f"/{self._upload_id}"), ("urlhost", "buildkit-session")]
        kind = "moby.upload.v1.BytesMessage"
        async with session.channel.open(UPLOAD, kind, kind, metadata=metadata) as stream:
            while (message := await stream.recv_message()) is not None:
                yield message.data


class _Agent:
    """``build.model.SshAgent``: each connection is a call."""

    def __init__(self, session: Session, agent_id: str) -> None:
        self._session = session
        self._id = agent_id

    async def connect(self) -> Duplex:
        kind = "moby.sshforward.v1.BytesMessage"
        stack = AsyncExitStack()
        stream = await stack.enter_async_context(
            self._session.channel.open(
                FORWARD_AGENT, kind, kind, metadata=[("buildkit.ssh.id", self._id)]
            )
        )
        return _StreamDuplex(stack, stream, kind)


class _StreamDuplex:
    """``build.model.Duplex`` on a stream of ``BytesMessage``."""

    def __init__(self, stack: AsyncExitStack, stream: Stream, kind: str) -> None:
        self._stack = stack
        self._stream = stream
        self._message = messages.get(kind)

    async def read(self) -> bytes:
        while (message := await self._stream.recv_message()) is not None:
            if message.data:
                data: bytes = message.data
                return data
        return b""

    async def write(self, data: bytes) -> None:
        await self._stream.send_message(self._message(data=data))

    async def close(self) -> None:
        await self._stack.aclose()
