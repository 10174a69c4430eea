"""``moby.buildkit.v1.Control``: builds, their status, the cache, the history; and health."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from grpclib.const import Handler, Status
from grpclib.exceptions import GRPCError

from pierhead import tasks
from pierhead.build.buildkit import (
    ID_HEADER,
    KEY_HEADER,
    METHOD_HEADER,
    faults,
    history,
    messages,
    usage,
    wire,
    worker,
)
from pierhead.build.buildkit.builds import Build, Ref
from pierhead.build.buildkit.options import (
    FRONTENDS,
    outputs_of,
)
from pierhead.build.buildkit.session import SessionClient
from pierhead.build.buildkit.status import Translator
from pierhead.build.buildkit.tunnel import Tunnel, Tunneled, headers_of
from pierhead.build.export.model import Solved
from pierhead.build.history import HistoryRecord
from pierhead.build.model import BuildResult, CacheOption
from pierhead.errors import Conflict, InvalidParameter, NotFound, NotImplementedYet, PierError

if TYPE_CHECKING:
    from pierhead.build.buildkit.door import BuildKitDoor
    from pierhead.build.buildkit.messages import Message
    from pierhead.build.buildkit.wire import Stream

log = logging.getLogger(__name__)

SERVICE: Final = "moby.buildkit.v1.Control"
_CLOCK_HEADER: Final = "buildkit-current-timestamp"
_HISTORY_POLL_S: Final = 1.0
_SERVING: Final = 1


class Control:
    """The service's methods."""

    def __init__(self, door: BuildKitDoor) -> None:
        self._door = door
        self._service = door.builds

    def mapping(self) -> dict[str, Handler]:
        rows = (
            ("Solve", self.solve, wire.UNARY, "SolveRequest", "SolveResponse"),
            ("Status", self.status, wire.SERVER_STREAM, "StatusRequest", "StatusResponse"),
            ("Session", self.session, wire.BOTH_STREAM, "BytesMessage", "BytesMessage"),
            ("ListWorkers", self.workers, wire.UNARY, "ListWorkersRequest", "ListWorkersResponse"),
            ("Info", self.info, wire.UNARY, "InfoRequest", "InfoResponse"),
            ("DiskUsage", self.disk_usage, wire.UNARY, "DiskUsageRequest", "DiskUsageResponse"),
            ("Prune", self.prune, wire.SERVER_STREAM, "PruneRequest", "UsageRecord"),
            (
                "ListenBuildHistory",
                self.history,
                wire.SERVER_STREAM,
                "BuildHistoryRequest",
                "BuildHistoryEvent",
            ),
            (
                "UpdateBuildHistory",
                self.update_history,
                wire.UNARY,
                "UpdateBuildHistoryRequest",
                "UpdateBuildHistoryResponse",
            ),
        )
        package = "moby.buildkit.v1"
        found = {
            f"/{SERVICE}/{name}": wire.handler(
                serve, cardinality, f"{package}.{request}", f"{package}.{reply}"
            )
            for name, serve, cardinality, request, reply in rows
        }
        found["/grpc.health.v1.Health/Check"] = wire.handler(
            self.health,
            wire.UNARY,
            "grpc.health.v1.HealthCheckRequest",
            "grpc.health.v1.HealthCheckResponse",
        )
        return found

    # -- builds ------------------------------------------------------------------------------
    async def solve(self, stream: Stream) -> None:
        request = await stream.recv_message()
        refuse_policies(request.SourcePolicy)
        attributes = dict(request.FrontendAttrs)
        outputs = outputs_of(exporters_of(request))
        client = SessionClient(self._door.sessions, request.Session, spool=self._door.spool)
        build = Build(
            ref=request.Ref,
            client=client,
            attributes=attributes,
            entitlements=frozenset(request.Entitlements),
            request=request,
        )
        await self._door.open.add(build)
        error: BaseException | None = None
        try:
            solved = await self._solved(build)
            result = None
            if solved is not None:
                result = await self._service.export(solved, outputs, client, build.emit)
            response = messages.get("moby.buildkit.v1.SolveResponse")()
            for key, value in response_of(result, client).items():
                response.ExporterResponse[key] = value
            await stream.send_message(response)
        except BaseException as caught:
            error = caught
            if isinstance(caught, PierError):
                raise refusal(caught) from caught
            raise
        finally:
            await asyncio.shield(
                tasks.spawn(self._door.end(build, error), name="buildkit-build-end")
            )

    async def _solved(self, build: Build) -> Solved | None:
        """By the frontend that the request names; or what the client's own frontend returns."""
        request = build.request
        if request.Frontend in FRONTENDS:
            return (await self._door.solve(build, build.attributes, inputs={})).solved
        if request.Frontend:
            raise NotImplementedYet(
                f"frontend {request.Frontend} is not supported: use dockerfile.v0"
            )
        if getattr(request.Definition, "def"):
            raise NotImplementedYet(
                "build definitions (LLB) are not solved here: build from a Dockerfile"
            )
        returned = await build.returned
        if returned.HasField("error"):
            status = returned.error
            raise GRPCError(
                _status(status.code),
                status.message,
                [(detail.type_url, detail.value) for detail in status.details],
            )
        ref = returned_ref(build, returned.result)
        return ref.solved if ref is not None else None

    async def status(self, stream: Stream) -> None:
        request = await stream.recv_message()
        if not self._door.open.known(request.Ref) and await self._past(stream, request.Ref):
            return
        build = await self._door.open.watch(request.Ref)
        translator = Translator()
        async for events in build.feed.batches():
            await stream.send_message(translator.response(events))

    async def _past(self, stream: Stream, ref: str) -> bool:
        """Answer from the history, if the build has ended."""
        try:
            record = self._service.history_record(ref)
        except NotFound:
            return False
        if record.status == "running":
            return False
        for response in history.status_of(record, self._service.logs(record.ref)):
            await stream.send_message(response)
        return True

    async def session(self, stream: Stream) -> None:
        """A session on a stream of messages: what clients without an HTTP door use."""
        tunnel = Tunnel(stream)
        running = tasks.spawn(tasks.outcome(tunnel.run()), name="buildkit-session-tunnel")
        try:
            await self._door.serve_session(
                Tunneled(tunnel),
                headers_of(stream.metadata, (ID_HEADER, KEY_HEADER)),
                stream.metadata.getall(METHOD_HEADER.lower(), []),
            )
        finally:
            tunnel.close()
            await running

    # -- about us --------------------------------------------------------------------------
    async def workers(self, stream: Stream) -> None:
        await stream.recv_message()
        await stream.send_message(
            messages.get("moby.buildkit.v1.ListWorkersResponse")(record=[self._door.worker()])
        )

    async def info(self, stream: Stream) -> None:
        await stream.recv_message()
        await stream.send_message(
            messages.get("moby.buildkit.v1.InfoResponse")(buildkitVersion=worker.version())
        )

    async def health(self, stream: Stream) -> None:
        await stream.recv_message()
        await stream.send_message(
            messages.get("grpc.health.v1.HealthCheckResponse")(status=_SERVING)
        )

    # -- the cache -------------------------------------------------------------------------
    async def disk_usage(self, stream: Stream) -> None:
        request = await stream.recv_message()
        filters = usage.filters_of(request.filter, request.ageLimit)
        records = self._service.usage(filters)
        await stream.send_message(
            messages.get("moby.buildkit.v1.DiskUsageResponse")(
                record=[usage.record_of(record) for record in records]
            )
        )

    async def prune(self, stream: Stream) -> None:
        request = await stream.recv_message()
        filters = usage.filters_of(request.filter, request.keepDuration)
        known = {record["ID"]: record for record in self._service.usage()}
        gone, _ = await self._service.prune(
            filters,
            all=request.all,
            keep_bytes=request.maxUsedSpace,
            reserved_bytes=request.reservedSpace,
            min_free_bytes=request.minFreeSpace,
        )
        for record_id in gone:
            record = known.get(record_id, {"ID": record_id})
            await stream.send_message(usage.record_of({**record, "InUse": False}))

    # -- the history -----------------------------------------------------------------------
    async def history(self, stream: Stream) -> None:
        request = await stream.recv_message()
        if list(request.Filter):
            log.debug("clients filter the history themselves", extra={"filter": request.Filter})
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        await stream.send_initial_metadata(metadata={_CLOCK_HEADER: now})
        told: dict[str, Any] = {}
        while True:
            await self._tell(stream, request, told)
            if request.EarlyExit:
                return
            await asyncio.sleep(_HISTORY_POLL_S)

    def _records(self, ref: str) -> list[HistoryRecord]:
        """One build's, which clients ask for at the end of each, or all: they are read anew."""
        if not ref:
            return self._service.history()
        try:
            return [self._service.history_record(ref)]
        except (Conflict, NotFound):
            return []

    async def _tell(self, stream: Stream, request: Message, told: dict[str, Any]) -> None:
        """The records that are new, or other than when they were told last."""
        records = [
            record
            for record in self._records(request.Ref)
            if history.matches(record, ref=request.Ref, active_only=request.ActiveOnly)
        ]
        if request.Limit:
            records = records[: request.Limit]
        for record in records:
            state = (record.status, len(record.steps), record.finished_ns)
            if told.get(record.ref) != state:
                told[record.ref] = state
                await stream.send_message(history.event_of(record))
        for ref in told.keys() - {record.ref for record in records}:
            del told[ref]
            await stream.send_message(history.deleted(ref))

    async def update_history(self, stream: Stream) -> None:
        request = await stream.recv_message()
        record = self._service.history_record(request.Ref)
        if request.Delete:
            await self._service.history_remove(record.ref)
        else:
            self._service.history_pin(record.ref, bool(request.Pinned))
        await stream.send_message(messages.get("moby.buildkit.v1.UpdateBuildHistoryResponse")())


def refuse_policies(given: object) -> None:
    """A policy that nobody checks would be worse than none. Raises ``NotImplementedYet``."""
    if given:
        raise NotImplementedYet(
            "source policies are not supported: unset EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"
        )


def cache_exports_of(request: Message) -> list[CacheOption]:
    """``--cache-to``."""
    return [
        CacheOption(type=entry.Type, attributes=dict(entry.Attrs))
        for entry in request.Cache.Exports
    ]


def exporters_of(request: Message) -> list[tuple[str, dict[str, str]]]:
    """Outputs as newer clients say them, or as older ones did."""
    found = [(exporter.Type, dict(exporter.Attrs)) for exporter in request.Exporters]
    if not found and request.ExporterDeprecated:
        found = [(request.ExporterDeprecated, dict(request.ExporterAttrsDeprecated))]
    return found


def returned_ref(build: Build, result: Message) -> Ref | None:
    """The build that a client's frontend gives back; ``None``: nothing to export."""
    ids = [result.refDeprecated, result.ref.id]
    ids += [result.refsDeprecated.refs[key] for key in result.refsDeprecated.refs]
    ids += [result.refs.refs[key].id for key in result.refs.refs]
    found = [build.find(ref_id) for ref_id in ids if ref_id]
    solved = [ref for ref in found if ref.solved is not None]
    if not solved:
        return None
    if any(ref.solved is not solved[0].solved for ref in solved):
        raise InvalidParameter("a result may not be put together of several builds")
    return solved[0]


def response_of(result: BuildResult | None, client: SessionClient) -> dict[str, str]:
    """``ExporterResponse``: strings; documents are JSON, descriptors that in base64."""
    import base64
    import json

    found: dict[str, str] = {}
    for key, value in (result.metadata if result is not None else {}).items():
        if isinstance(value, str):
            found[key] = value
            continue
        text = json.dumps(value, separators=(",", ":"))
        found[key] = base64.b64encode(text.encode()).decode()
    if client.cache_manifests:
        found["cache.manifest"] = client.cache_manifests[-1]
    return found


def refusal(error: PierError) -> GRPCError:
    """A build's error, with the lines of the Dockerfile that it is about."""
    from pierhead.build.solve.errors import located

    return wire.refusal(error, faults.details_of(*located(error)))


def _status(code: int) -> Status:
    try:
        return Status(code)
    except ValueError:
        return Status.UNKNOWN
