"""RUN: its key, and what the executor is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pierhead.build.execute.model import MountKind, RunOutcome, RunStep, StepFailed, StepMount
from pierhead.build.files.model import CopyRequest
from pierhead.build.plan import keys
from pierhead.build.plan.model import FromNothing, MountPlan, RunOp
from pierhead.build.solve.flights import Flight
from pierhead.build.solve.runner import Result
from pierhead.build.solve.sources import Tree
from pierhead.build.solve.work import Work
from pierhead.errors import Forbidden
from pierhead.store.snapshots import Layer


class RunWork(Work):
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
