"""COPY, ADD and WORKDIR: what they take, their keys, and their layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pierhead.build.execute.model import RunOutcome
from pierhead.build.plan import keys
from pierhead.build.plan.model import CopyOp, FromContext, FromImage, FromUrl, WorkdirOp
from pierhead.build.solve import owners
from pierhead.build.solve.flights import Flight
from pierhead.build.solve.runner import Result
from pierhead.build.solve.sources import Tree
from pierhead.build.solve.work import Work
from pierhead.errors import InvalidParameter, NotFound, PierError, Unavailable
from pierhead.oci.digest import ChainId, hex_of, sha256
from pierhead.store.snapshots import Layer


class CopyWork(Work):
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
        several = sum(selection.roots for selection in found) > 1
        if several and op.request.classic and not op.written.endswith("/"):
            raise InvalidParameter(
                f"When using {'ADD' if op.is_add else 'COPY'} with more than one source file, the "
                "destination must be a directory and end with a /"
            )
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


class WorkdirWork(Work):
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


def words(error: PierError, *, classic: bool, op: object) -> PierError:
    """A step's error as each builder puts it: the classic one has words of its own for COPY."""
    if not classic or not isinstance(op, CopyOp):
        return error
    if op.is_add and error.message.startswith("COPY failed: "):
        return InvalidParameter(f"ADD failed: {error.message.removeprefix('COPY failed: ')}")
    if error.kind != "not_found":
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
