"""The whole door as one object, made by the wiring and used by the API's handlers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pierhead import tasks
from pierhead.build.buildkit import ID_HEADER, KEY_HEADER
from pierhead.errors import PierError
from pierhead.oci.platform import Platform, of_machine

if TYPE_CHECKING:
    from grpclib.const import Handler

    from pierhead.build.buildkit.builds import Build, Builds, Ref
    from pierhead.build.buildkit.messages import Message
    from pierhead.build.buildkit.session import Sessions
    from pierhead.build.buildkit.uploads import Uploads
    from pierhead.build.model import BuildOptions, CacheOption
    from pierhead.build.service import BuildService
    from pierhead.engine.images.service import ImageService
    from pierhead.engine.networks.service import NetworkService
    from pierhead.engine.settings import Settings

log = logging.getLogger(__name__)


class Upgraded(Protocol):
    """A connection that has left HTTP/1.1, as a handler hands it over."""

    transport: asyncio.Transport
    early: bytes
    """What the client has sent already."""

    def lost(self, error: Exception | None) -> None:
        """The connection ended: whoever counts connections is told."""
        ...


class BuildKitDoor:
    """Sessions and builds of BuildKit's clients. Parts are imported when the first one comes."""

    def __init__(
        self,
        *,
        builds: BuildService,
        images: ImageService,
        networks: NetworkService,
        settings: Settings,
    ) -> None:
        self._networks = networks
        self.builds = builds
        self.images = images
        self.settings = settings
        self._calls: dict[str, Handler] = {}
        self._worker: Message | None = None

    @cached_property
    def open(self) -> Builds:
        """Builds under way."""
        from pierhead.build.buildkit.builds import Builds

        return Builds()

    @cached_property
    def sessions(self) -> Sessions:
        from pierhead.build.buildkit.session import Sessions

        return Sessions()

    @cached_property
    def uploads(self) -> Uploads:
        from pierhead.build.buildkit.uploads import Uploads

        return Uploads()

    @property
    def spool(self) -> Path:
        """Where outputs wait that must be whole before they are sent."""
        return Path(self.settings.data_root) / "tmp"

    async def serve(self, connection: Upgraded) -> None:
        """``/grpc``: answer calls until the client goes."""
        from pierhead.build.buildkit import wire
        from pierhead.build.buildkit.control import Control
        from pierhead.build.buildkit.gateway import Gateway

        if not self._calls:
            self._calls = Control(self).mapping() | Gateway(self).mapping()
        await wire.serve(connection, self._calls)

    async def serve_session(
        self, connection: Upgraded, headers: Mapping[str, str], methods: list[str]
    ) -> None:
        """``/session``: hold a client's session until it goes."""
        from pierhead.build.buildkit.channel import Channel
        from pierhead.build.buildkit.session import Session

        channel = Channel(connection)
        session = Session(
            headers.get(ID_HEADER, ""),
            channel,
            frozenset(method.lower() for method in methods),
            headers.get(KEY_HEADER, ""),
        )
        try:
            await self.sessions.add(session)
            await channel.gone.wait()
        finally:
            await asyncio.shield(
                tasks.spawn(self.sessions.remove(session), name="buildkit-session-end")
            )
            channel.close()

    # -- builds ------------------------------------------------------------------------------
    def options(
        self,
        build: Build,
        attributes: Mapping[str, str],
        *,
        inputs: Mapping[str, str],
        cache_imports: Iterable[Message] = (),
    ) -> BuildOptions:
        """What the frontend's attributes ask for; what else the client needs to serve it."""
        from pierhead.build.buildkit.control import cache_exports_of, exporters_of
        from pierhead.build.buildkit.options import (
            build_options,
            local_sessions,
            outputs_of,
            upload_id,
        )
        from pierhead.build.buildkit.session import SessionClient
        from pierhead.build.model import CacheOption

        request = build.request
        options = build_options(
            attributes,
            ref="" if build.solved else build.ref,
            entitlements=build.entitlements,
            outputs=outputs_of(exporters_of(request)),
            cache_to=cache_exports_of(request),
            cache_from=[
                CacheOption(type=entry.Type, attributes=dict(entry.Attrs))
                for entry in cache_imports
            ],
            inputs=inputs,
        )
        client = build.client
        if isinstance(client, SessionClient):
            client.serve_also(
                local_sessions=local_sessions(attributes),
                upload_id=upload_id(attributes),
                cache_sources=cache_sources(options.cache_from),
            )
        return options

    async def solve(
        self,
        build: Build,
        attributes: Mapping[str, str],
        *,
        inputs: Mapping[str, str],
        cache_imports: Iterable[Message] = (),
    ) -> Ref:
        """Run the Dockerfile frontend; the result lives until the build's ``end``."""
        options = self.options(build, attributes, inputs=inputs, cache_imports=cache_imports)
        options.multi_stage_cache_key = await self._shared_key(build)
        solved = await self.builds.solve(options, build.client, build.emit)
        build.solved.append(solved)
        return build.add_ref(solved=solved)

    async def end(self, build: Build, error: BaseException | None) -> None:
        """Let go of all that a build held, and tell its readers that it is over."""
        self.open.remove(build)
        for ref in build.refs.values():
            if ref.source is not None:
                with contextlib.suppress(PierError):
                    await self.builds.files.release(ref.source)
        for solved in build.solved:
            try:
                await self.builds.release(solved, error)
            except PierError as failed:
                log.warning("a build was not released", extra={"error": failed.message})

    async def _shared_key(self, build: Build) -> str:
        from pierhead.build.buildkit.session import SessionClient

        client = build.client
        if not isinstance(client, SessionClient) or not client.session_id:
            return ""
        return (await self.sessions.get(client.session_id)).shared_key

    async def build(
        self, options: BuildOptions, session_id: str, tar: AsyncIterator[bytes] | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """``POST /build?version=2``: build from a session; the messages of the answer.

        Closing the generator stops the build.
        """
        from pierhead.build.buildkit.builds import Build
        from pierhead.build.buildkit.session import SessionClient
        from pierhead.build.buildkit.status import Translator

        client = SessionClient(self.sessions, session_id, tar=tar, spool=self.spool, old=True)
        build = Build(ref=options.ref, client=client)
        await self.open.add(build)
        work = tasks.spawn(tasks.outcome(self._whole(build, options)), name="buildkit-build")
        translator = Translator()
        begun = False
        try:
            async for events in build.feed.batches():
                response = translator.response(events)
                trace = base64.b64encode(response.SerializeToString()).decode()
                begun = True
                yield {"id": "moby.buildkit.trace", "aux": trace}
            outcome = await work
            if isinstance(outcome, PierError) and begun:
                # No code: clients take one for the exit code of a step, and theirs is 1.
                yield {"errorDetail": {"message": outcome.message}, "error": outcome.message}
            elif isinstance(outcome, Exception):
                raise outcome
            elif outcome:
                yield {"id": "moby.image.id", "aux": {"ID": outcome}}
        finally:
            work.cancel()
            self.open.remove(build)

    async def _whole(self, build: Build, options: BuildOptions) -> str:
        """Build and export; the image's id, if there is one. The feed ends with it."""
        try:
            result = await self.builds.build(options, build.client, build.emit)
            return str(result.images[0].id) if result.images else ""
        finally:
            build.feed.finish()

    # -- about us --------------------------------------------------------------------------
    def worker(self) -> Message:
        """The one worker's record."""
        from pierhead.build.buildkit import worker

        if self._worker is None:
            gateway = (self.settings.host_gateway_ips or [""])[0]
            with contextlib.suppress(PierError):  # there may be no default bridge
                gateway = gateway or str(self._networks.get("bridge").gateway.ip)
            self._worker = worker.record(
                worker_id=self.settings.daemon_id,
                hostname=os.uname().nodename,
                snapshotter=self.settings.storage_driver,
                gateway=gateway,
                platforms=platforms(),
            )
        return self._worker

    async def close(self) -> None:
        """End all sessions: pierd stops, and builds end with the calls that wait for them."""
        if "sessions" in vars(self):
            self.sessions.close()


def cache_sources(caches: Iterable[CacheOption]) -> dict[str, str]:
    """Local caches to import: the name they are read by → the client's content store."""
    from pierhead.build.buildkit.stores import LOCAL_STORE

    return {
        f"cache-from:{index}": LOCAL_STORE + option.attributes.get("src", "")
        for index, option in enumerate(caches)
        if option.type == "local"
    }


def platforms() -> list[Platform]:
    """What can be built for: this machine, and what the kernel has emulators for."""
    from pierhead.build.execute.emulation import interpreter

    here = of_machine(os.uname().machine)
    found = [here]
    for name in ("amd64", "arm64", "386", "arm/v7", "arm/v6", "riscv64", "ppc64le", "s390x"):
        architecture, _, variant = name.partition("/")
        platform = Platform("linux", architecture, variant)
        if architecture == here.architecture:
            continue
        with contextlib.suppress(PierError):
            interpreter(platform)
            found.append(platform)
    return found
