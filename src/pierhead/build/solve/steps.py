"""Steps of one platform's build: looked up in the cache, or done, once for all who need them.

``Runner.step`` goes through three looks: the step's cheap key (trees by their names), the
exact key (trees by what was selected of them), and what ``--cache-from`` brought. What is
done is recorded under both keys.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pierhead.build.cache.importing import ImportedCache
from pierhead.build.cache.store import CacheStore, Record
from pierhead.build.execute.executor import Executor
from pierhead.build.execute.model import MountKind, RunOutcome, RunStep, StepFailed, StepMount
from pierhead.build.files.model import CopyRequest, Selection
from pierhead.build.files.service import FileService
from pierhead.build.model import BuildOptions, Client
from pierhead.build.plan import keys
from pierhead.build.plan.model import (
    CopyOp,
    FromContext,
    FromImage,
    FromNothing,
    FromUrl,
    MountPlan,
    Origin,
    RunOp,
    Step,
    WorkdirOp,
)
from pierhead.build.solve import owners
from pierhead.build.solve.flights import Flight, Flights
from pierhead.build.solve.report import Reported
from pierhead.build.solve.sources import Sources, Tree
from pierhead.engine.images.content import Lease
from pierhead.errors import Forbidden, InvalidParameter, NotFound, PierError, Unavailable
from pierhead.oci.digest import ChainId, DiffId, hex_of, sha256
from pierhead.oci.platform import Platform
from pierhead.store.snapshots import Layer, LayerSource, Snapshotter

EMPTY_TAR = DiffId("sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef")

Origins = Callable[[Origin], Awaitable[Tree]]


class CacheGone(Unavailable):
    """``--cache-from`` promised what it couldn't give: build without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What stands after a step."""

    chain_id: ChainId | None
    key: str
    created_ns: int
    cached: bool
    changed: bool = True
    miss: str = ""
    shown: str = ""
    """A COPY's files in the classic history: ``file:HASH``."""
    outcome: RunOutcome | None = None


@dataclass(slots=True, kw_only=True)
class Runner:
    """What steps of one build have in common."""

    snapshots: Snapshotter
    files: FileService
    executor: Executor
    cache: CacheStore
    flights: Flights
    sources: Sources
    options: BuildOptions
    client: Client
    lease: Lease
    ref: str
    project: str = ""
    """What tells this build's Dockerfile from others, for ``similar``."""
    imported: list[ImportedCache] = field(default_factory=list)
    hostname: str = ""
    mount_namespace: str = ""
    learned: dict[str, Record] = field(default_factory=dict)
    """What imported caches told: ours as well once the layers are here."""
    working: set[asyncio.Task[Any]] = field(default_factory=set)
    """Steps that this build began; others may wait for them when it is gone."""

    def began(self, task: asyncio.Task[Any]) -> None:
        self.working.add(task)
        task.add_done_callback(self.working.discard)

    async def step(
        self,
        base: ChainId | None,
        step: Step,
        origins: Origins,
        platform: Platform,
        reported: Callable[[], Reported],
        *,
        place: str,
        use_cache: bool,
    ) -> Result:
        """Have ``step`` done on ``base``. ``reported`` starts its report, when it is known
        that there is something to tell."""
        op = step.op
        if isinstance(op, RunOp):
            work: _Work = _RunWork(self, base, step, op, origins, platform)
        elif isinstance(op, CopyOp):
            work = _CopyWork(self, base, step, op, origins, platform)
        elif isinstance(op, WorkdirOp):
            work = _WorkdirWork(self, base, step, op, origins, platform)
        else:
            raise TypeError(op)
        return await work.result(reported, place=place, use_cache=use_cache)

    def look(self, key: str) -> Record | None:
        """A record of our own cache, its chain held for this build."""
        record = self.cache.get(key)
        if record is not None and record.chain_id is not None:
            self.lease.add_chains([record.chain_id])
        return record

    def look_imported(self, key: str) -> tuple[ChainId | None, int] | None:
        """(chain, when it was made) that ``--cache-from`` knows of; its layers may be elsewhere."""
        for cache in self.imported:
            if key in cache.results:
                return cache.results[key], cache.created.get(key) or time.time_ns()
        return None

    async def ensure(self, chain_id: ChainId | None) -> None:
        """Have the layers of a chain that an imported cache told of. ``Unavailable``."""
        if chain_id is None or self.snapshots.layer(chain_id) is not None:
            return
        self.lease.add_chains([chain_id])
        for cache in self.imported:
            if await cache.materialise(chain_id):
                self._learn()
                return
        raise CacheGone(f"the imported cache has no layers for {chain_id}")

    def _learn(self) -> None:
        for key, record in list(self.learned.items()):
            layer = self.snapshots.layer(record.chain_id) if record.chain_id is not None else None
            if record.chain_id is None or layer is not None:
                del self.learned[key]
                record.size_bytes = layer.size_bytes if layer is not None else 0
                if key not in self.cache.records:
                    self.cache.put(record)


class _Work:
    """One step that is looked for or done."""

    kind = "regular"

    def __init__(
        self,
        runner: Runner,
        base: ChainId | None,
        step: Step,
        op: Any,
        origins: Origins,
        platform: Platform,
    ) -> None:
        self.runner = runner
        self.base = base
        self.step = step
        self.op = op
        self.origins = origins
        self.platform = platform
        self.files: Sequence[Selection] = ()

    def shown(self) -> str:
        """See ``Result.shown``."""
        return ""

    def private(self) -> str:
        """Set where only this build's client can help with the work: it isn't shared then."""
        return ""

    async def cheap(self) -> keys.Parts | None:
        """The key without a look into trees; ``None`` if that can't be."""
        return None

    async def exact(self) -> keys.Parts:
        raise NotImplementedError

    async def do(self, flight: Flight[Result]) -> tuple[Layer | None, bool, RunOutcome | None]:
        """Do it: (the layer, whether anything changed, ...)."""
        raise NotImplementedError

    async def result(
        self, reported: Callable[[], Reported], *, place: str, use_cache: bool
    ) -> Result:
        runner = self.runner
        cheap = await self.cheap()
        cheap_key = keys.key(cheap) if cheap is not None else ""
        if use_cache and cheap_key:
            hit = self._hit(cheap_key)
            if hit is not None:
                return await self.finish(hit)
        parts = await self.exact()
        key = keys.key(parts)
        if use_cache:
            hit = self._hit(key)
            if hit is not None:
                if cheap_key and hit.key == key and key in runner.cache.records:
                    self._alias(cheap_key, runner.cache.records[key])
                return await self.finish(hit)
        miss = self._why(parts, place, use_cache)
        step = reported()
        step.progress("", "running")
        await runner.ensure(self.base)
        done: Result = await runner.flights.run(
            key + self.private(),
            lambda flight: self._do(flight, key, cheap_key, parts, place),
            step.log,
            runner.began,
        )
        if done.chain_id is not None:
            runner.lease.add_chains([done.chain_id])
        if done.outcome is not None:
            step.kept.max_memory_bytes = done.outcome.max_memory_bytes
            step.kept.cpu_ns = done.outcome.cpu_ns
        return await self.finish(replace(done, miss=miss))

    async def finish(self, result: Result) -> Result:
        """What is to be done with a result whether it was found or made."""
        return result

    def _hit(self, key: str) -> Result | None:
        record = self.runner.look(key)
        if record is not None:
            return Result(
                chain_id=record.chain_id,
                key=record.key,
                created_ns=record.created_ns,
                cached=True,
                changed=record.changed,
                shown=record.shown,
            )
        imported = self.runner.look_imported(key)
        if imported is None:
            return None
        record = self._record(key, imported[0], {}, "", imported[1])
        record.used_ns = time.time_ns()
        self.runner.learned[key] = record
        return Result(
            chain_id=record.chain_id,
            key=key,
            created_ns=record.created_ns,
            cached=True,
            shown=record.shown,
        )

    def _record(
        self, key: str, chain_id: ChainId | None, parts: keys.Parts, place: str, now: int
    ) -> Record:
        return Record(
            key=key,
            chain_id=chain_id,
            size_bytes=0,
            created_ns=now,
            used_ns=now,
            uses=1,
            description=self.step.text or self.step.instruction,
            kind=self.kind,
            parent=self.base,
            text=self.step.instruction,
            place=place,
            parts=keys.shortened(parts),
            shown=self.shown(),
        )

    def _why(self, parts: keys.Parts, place: str, use_cache: bool) -> str:
        if not use_cache:
            return "--no-cache"
        before = self.runner.cache.similar(self.step.instruction, place)
        if before is None:
            return "no such step before"
        return keys.difference(before.parts, parts)

    async def _do(
        self, flight: Flight[Result], key: str, cheap_key: str, parts: keys.Parts, place: str
    ) -> Result:
        runner = self.runner
        started = time.time_ns()
        layer, changed, outcome = await self.do(flight)
        # No await between here and the cache's lease: nobody can collect the new layer.
        now = time.time_ns()
        chain_id = layer.chain_id if layer is not None else self.base
        record = self._record(key, chain_id, parts, place, now)
        record.size_bytes = layer.size_bytes if layer is not None else 0
        record.changed, record.took_ns = changed, now - started
        runner.cache.put(record)
        if cheap_key:
            self._alias(cheap_key, record)
        return Result(
            chain_id=chain_id,
            key=key,
            created_ns=now,
            cached=False,
            changed=changed,
            shown=record.shown,
            outcome=outcome,
        )

    def _alias(self, key: str, record: Record) -> None:
        """Find ``record`` by its cheap key as well, next time."""
        if key not in self.runner.cache.records:
            self.runner.cache.put(
                replace(record, key=key, kind="alias", text="", place="", parts={}, lease=None)
            )

    async def empty_layer(self) -> Layer:
        """A layer of an empty tar on the base: what changed nothing still counts."""
        return await empty_layer(self.runner.snapshots, self.base)


async def empty_layer(snapshots: Snapshotter, base: ChainId | None) -> Layer:
    layer = await snapshots.adopt(EMPTY_TAR, base)
    if layer is None:
        import os

        read_fd, write_fd = os.pipe()
        try:
            os.write(write_fd, bytes(1024))
        finally:
            os.close(write_fd)
        try:
            layer = await snapshots.apply(LayerSource(read_fd, 1024), base, EMPTY_TAR)
        finally:
            os.close(read_fd)
    return layer


class _WorkdirWork(_Work):
    async def exact(self) -> keys.Parts:
        return keys.workdir(self.base, self.op)

    async def do(self, flight: Flight[Result]) -> tuple[Layer | None, bool, RunOutcome | None]:
        op: WorkdirOp = self.op
        runner = self.runner
        uid, gid = await owners.of(runner.files, self.base, op.user) if op.user else (0, 0)
        layer = await runner.files.mkdir(self.base, op.path, epoch_s=op.epoch_s, uid=uid, gid=gid)
        if layer is None:
            return await self.empty_layer(), False, None
        return layer, True, None


class _CopyWork(_Work):
    _trees: list[Tree]

    def shown(self) -> str:
        """``file:HASH``, ``dir:HASH`` or ``multi:HASH``, from what was selected."""
        op: CopyOp = self.op
        if not self.files:
            return f"multi:{hex_of(keys.digest(self.step.text.encode()))}"
        digest = self.files[0].digest
        if len(self.files) > 1:
            digest = sha256(",".join(each.digest for each in self.files).encode())
        if any(isinstance(part.origin, FromUrl) for part in op.parts) and len(op.parts) == 1:
            return hex_of(digest)  # a download has no kind in the classic texts
        roots = sum(each.roots for each in self.files)
        kind = "multi" if roots != 1 else "dir" if self.files[0].is_dir else "file"
        return f"{kind}:{hex_of(digest)}"

    async def _find(self) -> None:
        op: CopyOp = self.op
        self._trees = []
        for part in op.parts:
            if part.origin is None:
                self._trees.append(self.runner.sources.inline(part.request.inline))
            else:
                self._trees.append(await self.origins(part.origin))

    async def cheap(self) -> keys.Parts | None:
        op: CopyOp = self.op
        await self._find()
        files: list[Any] = []
        for part, tree in zip(op.parts, self._trees, strict=True):
            if part.origin is None:
                files.append([[each.name, keys.digest(each.data)] for each in part.request.inline])
            elif tree.identity:
                files.append(keys.part(part.request, tree.identity))
            else:
                return None
        return {**keys.copy(self.base, op.request, files), "by": "tree"}

    async def exact(self) -> keys.Parts:
        op: CopyOp = self.op
        runner = self.runner
        found = []
        for part, tree in zip(op.parts, self._trees, strict=True):
            if tree.source.chain_id is not None:
                await runner.ensure(tree.source.chain_id)
            found.append(await runner.files.select(tree.source, part.request))
        self.files = found
        return keys.copy(self.base, op.request, [selection.digest for selection in found])

    async def do(self, flight: Flight[Result]) -> tuple[Layer | None, bool, RunOutcome | None]:
        op: CopyOp = self.op
        files = self.runner.files
        request = op.parts[0].request if len(op.parts) == 1 else op.request
        base = None if request.link else self.base
        return await files.copy(base, self.files, request), True, None

    async def finish(self, result: Result) -> Result:
        """``--link``: the result is a layer that stands on nothing; put it on the base."""
        op: CopyOp = self.op
        if not op.request.link or self.base is None or result.chain_id is None:
            return result
        runner = self.runner
        await runner.ensure(result.chain_id)
        await runner.ensure(self.base)
        layer = runner.snapshots.layer(result.chain_id)
        if layer is None:
            raise Unavailable("the layer of COPY --link is gone: build again")
        chain_id = ChainId(sha256(f"{self.base} {layer.diff_id}".encode()))
        runner.lease.add_chains([chain_id])
        if runner.snapshots.layer(chain_id) is None:
            await runner.files.link_onto(layer, self.base)
        return replace(result, chain_id=chain_id)


class _RunWork(_Work):
    _trees: list[Tree | None]

    async def _find(self) -> None:
        op: RunOp = self.op
        self._trees = []
        for mount in op.mounts:
            self._trees.append(await self._tree(mount))

    async def _tree(self, mount: MountPlan) -> Tree | None:
        if mount.origin is None or isinstance(mount.origin, FromNothing):
            return None
        return await self.origins(mount.origin)

    async def _parts(self, *, exact: bool) -> keys.Parts | None:
        op: RunOp = self.op
        runner = self.runner
        described: list[Mapping[str, Any]] = []
        for mount, tree in zip(op.mounts, self._trees, strict=True):
            spec = mount.spec
            text: dict[str, Any] = {"kind": spec.kind.value, "target": mount.target}
            match spec.kind:
                case MountKind.BIND:
                    text["rw"] = not spec.read_only
                    text["path"] = spec.source
                case MountKind.CACHE:
                    text["id"] = self._cache_id(mount)
                case MountKind.TMPFS:
                    text["size"] = spec.size_bytes
                case MountKind.SECRET:
                    text |= {"id": spec.id, "env": spec.env or "", "mode": spec.mode}
                case MountKind.SSH:
                    text["id"] = spec.id
            if tree is not None and spec.kind is MountKind.BIND:
                if exact:
                    text["files"] = await self._digest(tree, spec.source)
                elif tree.identity:
                    text["tree"] = tree.identity
                else:
                    return None
            described.append(text)
        return keys.run(
            self.base,
            op,
            described,
            add_hosts=runner.options.add_hosts,
            platform=str(self.platform),
            hostname=runner.hostname,
            epoch_s=runner.options.source_date_epoch,
        )

    async def _digest(self, tree: Tree, path: str) -> str:
        if tree.source.chain_id is not None:
            await self.runner.ensure(tree.source.chain_id)
        request = CopyRequest(sources=(path or "/",), keep_owner=True)
        return (await self.runner.files.select(tree.source, request)).digest

    def private(self) -> str:
        op: RunOp = self.op
        kinds = {mount.spec.kind for mount in op.mounts}
        return self.runner.ref if kinds & {MountKind.SECRET, MountKind.SSH} else ""

    def _cache_id(self, mount: MountPlan) -> str:
        namespace = self.runner.mount_namespace
        identity = mount.spec.id or mount.target
        return f"{namespace}/{identity}" if namespace else identity

    async def cheap(self) -> keys.Parts | None:
        op: RunOp = self.op
        await self._find()
        if not any(tree is not None for tree in self._trees):
            return None
        parts = await self._parts(exact=False)
        return {**parts, "by": "tree"} if parts is not None and op.mounts else None

    async def exact(self) -> keys.Parts:
        parts = await self._parts(exact=True)
        assert parts is not None
        return parts

    async def do(self, flight: Flight[Result]) -> tuple[Layer | None, bool, RunOutcome | None]:
        op: RunOp = self.op
        runner, options = self.runner, self.runner.options
        self._check(op)
        names = {self._cache_id(each) for each in op.mounts if each.spec.kind is MountKind.CACHE}
        if names:
            for cache in runner.imported:
                await cache.fill_mounts(names)
        for tree in self._trees:
            if tree is not None and tree.source.chain_id is not None:
                await runner.ensure(tree.source.chain_id)
        step = RunStep(
            args=op.args,
            env=[*op.env, *op.proxies],
            user=op.user,
            working_dir=op.working_dir,
            mounts=[
                self._mount(mount, tree) for mount, tree in zip(op.mounts, self._trees, strict=True)
            ],
            files=op.files,
            network=op.network,
            network_name=options.network_name,
            insecure=op.insecure,
            devices=[device.name for device in op.devices if device.required],
            add_hosts=options.add_hosts,
            limits=options.limits,
            platform=self.platform,
            epoch_s=options.source_date_epoch,
            hostname=runner.hostname,
            classic=options.classic,
            cgroup_parent=options.limits.cgroup_parent,
            name=self.step.name,
            keep_failed=options.debug,
            build_ref=runner.ref,
        )
        try:
            outcome = await runner.executor.run(self.base, step, runner.client, flight.log)
        except StepFailed as error:
            if not options.classic:
                raise
            raise StepFailed(
                f"The command '{' '.join(op.args)}' returned a non-zero code: {error.exit_code}",
                error.exit_code,
                error.debug_id,
            ) from error
        layer = runner.snapshots.layer(outcome.chain_id) if outcome.chain_id is not None else None
        return layer, outcome.changed, outcome

    def _check(self, op: RunOp) -> None:
        granted = self.runner.options.entitlements
        if op.network.value == "host" and "network.host" not in granted:
            if not self.runner.options.classic:
                raise Forbidden("granting entitlement network.host is not allowed by build options")
        if op.insecure and "security.insecure" not in granted:
            raise Forbidden("granting entitlement security.insecure is not allowed")

    def _mount(self, plan: MountPlan, tree: Tree | None) -> StepMount:
        spec = plan.spec
        return StepMount(
            kind=spec.kind,
            target=plan.target,
            source=tree.source if tree is not None else None,
            source_path=spec.source or "/",
            read_write=not spec.read_only,
            id=self._cache_id(plan) if spec.kind is MountKind.CACHE else spec.id,
            sharing=spec.sharing,
            mode=spec.mode,
            uid=spec.uid or 0,
            gid=spec.gid or 0,
            size_bytes=spec.size_bytes,
            required=spec.required,
            env=spec.env or "",
        )


def words(error: PierError, *, classic: bool, op: object) -> PierError:
    """A step's error as each builder puts it: the classic one has words of its own for COPY."""
    if not classic or not isinstance(op, CopyOp) or error.kind != "not_found":
        return error
    if not error.message.startswith('"'):  # not a file: the image of --from
        images = [part.origin.name for part in op.parts if isinstance(part.origin, FromImage)]
        return NotFound(f"invalid from flag value {' '.join(images)}: {error.message}")
    name = error.message.strip().removesuffix(": not found").strip('"').lstrip("/")
    verb = "ADD" if op.is_add else "COPY"
    if any(isinstance(part.origin, FromContext | FromUrl) for part in op.parts):
        return InvalidParameter(
            f"{verb} failed: file not found in build context or excluded by .dockerignore: "
            f"stat {name}: file does not exist"
        )
    return InvalidParameter(f"{verb} failed: stat {name}: file does not exist")
