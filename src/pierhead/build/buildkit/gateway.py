"""``moby.buildkit.v1.frontend.LLBBridge``: how buildx drives a build from its side.

It asks for the Dockerfile frontend to be run (``Solve``), may look at the result's files,
and gives the result back with ``Return``, which ends ``Control.Solve``. Here the frontend is
ours and runs at once: a result that was given out is finished, ``Evaluate`` finds it so.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import time
from typing import TYPE_CHECKING, Any, Final

from grpclib.const import Handler

from pierhead.build.buildkit import messages, wire, worker
from pierhead.build.buildkit.builds import Build, Ref
from pierhead.build.buildkit.control import refusal, refuse_policies
from pierhead.build.buildkit.filesync import stat_message
from pierhead.build.buildkit.options import FRONTENDS, call_of
from pierhead.build.export.model import Assembled, Solved
from pierhead.build.files.model import Source, SourceKind
from pierhead.build.model import Event, Wanted, Warned
from pierhead.errors import InvalidParameter, NotFound, NotImplementedYet, PierError
from pierhead.oci.platform import normalise

if TYPE_CHECKING:
    from pierhead.build.buildkit.door import BuildKitDoor
    from pierhead.build.buildkit.messages import Message
    from pierhead.build.buildkit.wire import Stream

SERVICE: Final = "moby.buildkit.v1.frontend.LLBBridge"
BUILD_ID: Final = "buildkit-controlapi-buildid"
FILE_LIMIT_BYTES: Final = 16 << 20
CONFIG_KEY: Final = "containerimage.config"
_PACKAGE: Final = "moby.buildkit.v1.frontend"


class Gateway:
    """The service's methods."""

    def __init__(self, door: BuildKitDoor) -> None:
        self._door = door

    def mapping(self) -> dict[str, Handler]:
        rows = (
            ("Ping", self.ping, "PingRequest", "PongResponse"),
            ("Solve", self.solve, "SolveRequest", "SolveResponse"),
            ("Return", self.give_back, "ReturnRequest", "ReturnResponse"),
            ("Inputs", self.inputs, "InputsRequest", "InputsResponse"),
            ("Evaluate", self.evaluate, "EvaluateRequest", "EvaluateResponse"),
            ("ReadFile", self.read_file, "ReadFileRequest", "ReadFileResponse"),
            ("ReadDir", self.read_dir, "ReadDirRequest", "ReadDirResponse"),
            ("StatFile", self.stat_file, "StatFileRequest", "StatFileResponse"),
            ("Warn", self.warn, "WarnRequest", "WarnResponse"),
            (
                "ResolveImageConfig",
                self.image_config,
                "ResolveImageConfigRequest",
                "ResolveImageConfigResponse",
            ),
            ("NewContainer", self.container, "NewContainerRequest", "NewContainerResponse"),
        )
        return {
            f"/{SERVICE}/{name}": wire.handler(
                serve, wire.UNARY, f"{_PACKAGE}.{request}", f"{_PACKAGE}.{reply}"
            )
            for name, serve, request, reply in rows
        }

    async def _build(self, stream: Stream) -> Build:
        ref = stream.metadata.get(BUILD_ID, "")
        if not ref:
            raise InvalidParameter("no buildid found in context")
        return await self._door.open.get(ref)

    async def ping(self, stream: Stream) -> None:
        await stream.recv_message()
        await self._build(stream)
        pong = messages.get(f"{_PACKAGE}.PongResponse")(
            FrontendAPICaps=worker.capabilities(worker.GATEWAY_CAPS),
            LLBCaps=worker.capabilities(worker.LLB_CAPS),
            Workers=[self._door.worker()],
        )
        await stream.send_message(pong)

    # -- solving -----------------------------------------------------------------------------
    async def solve(self, stream: Stream) -> None:
        request = await stream.recv_message()
        build = await self._build(stream)
        task = asyncio.current_task()
        assert task is not None
        build.working.add(task)
        try:
            result = await self._solve(build, request)
        except PierError as error:
            raise refusal(error) from error
        finally:
            build.working.discard(task)
        response = messages.get(f"{_PACKAGE}.SolveResponse")(result=result)
        if not request.allowResultReturn:
            response.ref = result.ref.id
        await stream.send_message(response)

    async def _solve(self, build: Build, request: Message) -> Message:
        result = messages.get(f"{_PACKAGE}.Result")()
        if not request.Frontend:
            ref = await self._sources(build, request.Definition)
            if ref is not None:
                _set_ref(result.ref, ref)
            return result
        if request.Frontend not in FRONTENDS:
            raise NotImplementedYet(
                f"frontend {request.Frontend} is not supported: use dockerfile.v0"
            )
        refuse_policies(list(request.SourcePolicies))
        attributes = dict(request.FrontendOpt)
        inputs = self._inputs(request)
        call = call_of(attributes)
        if call:
            await self._describe(build, attributes, inputs, call, result)
            return result
        ref = await self._door.solve(
            build, attributes, inputs=inputs, cache_imports=request.CacheImports
        )
        assert ref.solved is not None
        self._put_images(build, ref.solved, result)
        return result

    def _inputs(self, request: Message) -> dict[str, str]:
        """Frontend inputs that are results of ours: name → the solved build's reference."""
        found: dict[str, str] = {}
        for name in request.FrontendInputs:
            for identifier, _ in worker.sources_of(request.FrontendInputs[name]):
                ref = self._door.open.of_result(identifier.removeprefix(worker.RESULT_SCHEME))
                if ref is None or ref.solved is None:
                    raise NotImplementedYet(
                        f"a build definition (LLB) as input {name} is not supported: "
                        "give a directory, an image, a git or an http URL"
                    )
                found[name] = ref.solved.ref
        return found

    async def _describe(
        self,
        build: Build,
        attributes: dict[str, str],
        inputs: dict[str, str],
        call: str,
        result: Message,
    ) -> None:
        """``--call``: what ``docker buildx build --check`` and the like print."""
        options = self._door.options(build, attributes, inputs=inputs)

        def emit(event: Event) -> None:
            if not isinstance(event, Warned):  # they are in the document
                build.emit(event)

        document = await self._door.builds.describe(options, build.client, emit, call)
        text = json.dumps(document, indent=2)
        result.metadata["result.json"] = text.encode()
        result.metadata["result.txt"] = text.encode()
        result.metadata["version"] = b"1.0.0"
        faults = call == "check" and (document.get("warnings") or document.get("buildError"))
        result.metadata["result.statuscode"] = b"1" if faults else b"0"

    def _put_images(self, build: Build, solved: Solved, result: Message) -> None:
        """One reference, or one for each platform."""
        several = len(solved.images) > 1 or _multi_platform(build)
        platforms = []
        for image in solved.images:
            ref = build.add_ref(solved=solved, image=image)
            name = str(image.platform)
            key = f"{CONFIG_KEY}/{name}" if several else CONFIG_KEY
            result.metadata[key] = image.config.encode()
            _set_ref(result.refs.refs[name] if several else result.ref, ref)
            platforms.append({"ID": name, "Platform": _platform_json(image)})
        if several:
            result.metadata["refs.platforms"] = json.dumps({"Platforms": platforms}).encode()

    async def _sources(self, build: Build, definition: Message) -> Ref | None:
        """A definition that names one source: a result of ours, a download, a directory."""
        if not getattr(definition, "def"):
            return None
        sources = worker.sources_of(definition)
        if len(sources) != 1:
            raise NotImplementedYet(
                "build definitions (LLB) are not solved here: build from a Dockerfile"
            )
        identifier, attributes = sources[0]
        if identifier.startswith(worker.RESULT_SCHEME):
            return self._door.open.of_result(identifier.removeprefix(worker.RESULT_SCHEME))
        source = await self._open_source(build, identifier, attributes)
        return build.add_ref(source=source)

    async def _open_source(
        self, build: Build, identifier: str, attributes: dict[str, str]
    ) -> Source:
        files = self._door.builds.files
        scheme, _, rest = identifier.partition("://")
        if scheme in {"http", "https"}:
            checksum = attributes.get("http.checksum", "")
            return await files.http(identifier, checksum=checksum, progress=_silent)
        if scheme == "git":
            url = attributes.get("git.fullurl", f"https://{rest.partition('#')[0]}")
            _, mark, fragment = rest.partition("#")
            return await files.git(url + mark + fragment, client=build.client, progress=_silent)
        if scheme == "local":
            wanted = Wanted(
                include=_patterns(attributes, "local.includepattern"),
                exclude=_patterns(attributes, "local.excludepatterns"),
                follow=_patterns(attributes, "local.followpaths"),
                shared_key=attributes.get("local.sharedkeyhint", ""),
            )
            source, _ = await files.context(build.client, rest, wanted, progress=_silent)
            return source
        raise NotImplementedYet(f"source {identifier} is not supported outside of a Dockerfile")

    async def give_back(self, stream: Stream) -> None:
        request = await stream.recv_message()
        build = await self._build(stream)
        if not build.returned.done():
            build.returned.set_result(request)
        await stream.send_message(messages.get(f"{_PACKAGE}.ReturnResponse")())

    async def inputs(self, stream: Stream) -> None:
        await stream.recv_message()
        build = await self._build(stream)
        response = messages.get(f"{_PACKAGE}.InputsResponse")()
        for name in build.request.FrontendInputs if build.request is not None else ():
            response.Definitions[name].CopyFrom(build.request.FrontendInputs[name])
        await stream.send_message(response)

    async def evaluate(self, stream: Stream) -> None:
        request = await stream.recv_message()
        (await self._build(stream)).find(request.Ref)
        await stream.send_message(messages.get(f"{_PACKAGE}.EvaluateResponse")())

    # -- a result's files --------------------------------------------------------------------
    async def _tree(self, stream: Stream, ref_id: str) -> Source:
        ref = (await self._build(stream)).find(ref_id)
        if ref.source is not None:
            return ref.source
        image = ref.image
        if image is None:
            raise NotFound(f"no such ref: {ref_id}")
        chain = image.chains[-1] if image.chains else None
        return self._door.builds.files.chain(chain, str(image.platform))

    async def read_file(self, stream: Stream) -> None:
        request = await stream.recv_message()
        source = await self._tree(stream, request.Ref)
        files = self._door.builds.files
        path = request.FilePath
        if source.kind is SourceKind.HTTP:  # one file, whatever the client calls it
            path = (await files.listdir(source, "/"))[0].path.decode(errors="surrogateescape")
        data = await files.read(source, path, FILE_LIMIT_BYTES)
        if request.HasField("Range"):
            start, length = request.Range.Offset, request.Range.Length
            data = data[start : start + length] if length else data[start:]
        await stream.send_message(messages.get(f"{_PACKAGE}.ReadFileResponse")(Data=data))

    async def read_dir(self, stream: Stream) -> None:
        request = await stream.recv_message()
        source = await self._tree(stream, request.Ref)
        entries = await self._door.builds.files.listdir(source, request.DirPath)
        pattern = request.IncludePattern
        response = messages.get(f"{_PACKAGE}.ReadDirResponse")(
            entries=[
                stat_message(entry)
                for entry in entries
                if not pattern or fnmatch.fnmatchcase(entry.path.decode(errors="replace"), pattern)
            ]
        )
        await stream.send_message(response)

    async def stat_file(self, stream: Stream) -> None:
        request = await stream.recv_message()
        source = await self._tree(stream, request.Ref)
        found = await self._door.builds.files.stat(source, request.Path)
        await stream.send_message(
            messages.get(f"{_PACKAGE}.StatFileResponse")(stat=stat_message(found))
        )

    # -- the rest ------------------------------------------------------------------------------
    async def warn(self, stream: Stream) -> None:
        request = await stream.recv_message()
        build = await self._build(stream)
        build.emit(
            Warned(
                time_ns=time.time_ns(),
                rule="",
                text=request.short.decode(errors="replace"),
                description=b"\n".join(request.detail).decode(errors="replace"),
                url=request.url,
                file=request.info.filename,
                source=request.info.data,
                lines=[(part.start.line, part.end.line) for part in request.ranges],
                level=request.level,
            )
        )
        await stream.send_message(messages.get(f"{_PACKAGE}.WarnResponse")())

    async def image_config(self, stream: Stream) -> None:
        """Of an image that is here; ``docker pull`` brings others."""
        request = await stream.recv_message()
        await self._build(stream)
        platform = None
        if request.HasField("Platform"):
            wanted = request.Platform
            platform = str(normalise(wanted.OS, wanted.Architecture, wanted.Variant))
        image = self._door.images.resolve(request.Ref, platform)
        response = messages.get(f"{_PACKAGE}.ResolveImageConfigResponse")(
            Digest=image.id, Config=image.config.encode(), Ref=request.Ref
        )
        await stream.send_message(response)

    async def container(self, stream: Stream) -> None:
        raise NotImplementedYet(
            "containers from build results are not there: `pier build --debug` opens a shell "
            "in a step that failed"
        )


def _set_ref(message: Message, ref: Ref) -> None:
    message.id = ref.id
    getattr(message, "def").CopyFrom(worker.definition_of(ref.id))


def _multi_platform(build: Build) -> bool:
    return build.attributes.get("multi-platform", "") in {"1", "t", "T", "true", "TRUE", "True"}


def _platform_json(image: Assembled) -> dict[str, Any]:
    platform = image.platform
    found = {"architecture": platform.architecture, "os": platform.os}
    if platform.variant:
        found["variant"] = platform.variant
    return found


def _patterns(attributes: dict[str, str], key: str) -> list[str]:
    """Lists are JSON in a definition's attributes."""
    try:
        found = json.loads(attributes.get(key) or "[]")
    except ValueError:
        return []
    return [str(item) for item in found] if isinstance(found, list) else []


def _silent(what: str, current: int, total: int) -> None:
    """Progress of what is read outside of any step: nobody shows it."""
