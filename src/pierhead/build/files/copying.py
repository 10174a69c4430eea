"""The layer of one COPY or ADD: a worker writes its tar while another takes it in."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from pierhead.build.files import write
from pierhead.build.files.collect import Part
from pierhead.build.files.held import Held
from pierhead.build.files.layers import MEMORY_BYTES, Layers
from pierhead.build.files.model import CopyRequest, Selection, Source, SourceKind
from pierhead.build.files.tree import find, walk
from pierhead.linux import process, worker
from pierhead.oci.digest import ChainId
from pierhead.store.snapshots import Layer


async def copy(
    layers: Layers,
    held: Callable[[Source], Held],
    base: ChainId | None,
    parts: Sequence[Selection],
    request: CopyRequest,
) -> Layer:
    """See ``FileService.copy``."""
    async with AsyncExitStack() as stack:
        fds: set[int] = set()
        inputs = []
        for part in parts:
            if part.source.kind is SourceKind.CHAIN:
                root = await stack.enter_async_context(layers.view(part.source.chain_id))
                fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, fd)
                fds.add(fd)
                inputs.append(write.Input([], {}, fd, list(part.sources)))
            else:
                source = held(part.source)
                found = await source.collect(part.sources, request.parents, request.exclude)
                inputs.append(_packed(source, found, fds, stack))
        return await _write(layers, base, inputs, request, fds, stack)


async def subtree(layers: Layers, source: Held, path: bytes) -> Layer:
    """A layer with what is at ``path`` of the source, where it is there, and nothing else."""
    top = find(source.tree, path)
    entries = [top, *walk(source.tree, path)] if top.is_dir else [top]
    above = path
    while above := above.rpartition(b"/")[0]:
        entries.insert(0, find(source.tree, above))
    part = Part(b"", True, [entry for entry in entries if entry.path])
    async with AsyncExitStack() as stack:
        fds: set[int] = set()
        inputs = [_packed(source, [part], fds, stack)]
        return await _write(layers, None, inputs, CopyRequest(), fds, stack)


def _packed(source: Held, parts: list[Part], fds: set[int], stack: AsyncExitStack) -> write.Input:
    used = {entry.pack for each in parts for entry in each.entries if entry.pack >= 0}
    stack.callback(source.packs.share().close)  # whoever releases the source meanwhile
    packs = {number: source.packs.fds[number] for number in used}
    fds.update(packs.values())
    return write.Input(parts, packs)


async def _write(
    layers: Layers, base: ChainId | None, inputs: list[write.Input], request: CopyRequest,
    fds: set[int], stack: AsyncExitStack,
) -> Layer:  # fmt: skip
    scratch = -1
    if request.unpack:
        scratch = layers.scratch_file()
        stack.callback(os.close, scratch)
        fds.add(scratch)
    plan = write.Plan(
        inputs,
        request.destination,
        request.chown,
        request.chmod,
        request.unpack,
        request.link,
        request.parents,
        list(request.exclude),
        request.keep_owner,
        request.epoch_s,
        scratch,
        layers.room(),
        request.classic,
    )
    plan_fd = process.memory_file("plan", write.encode_plan(plan))
    stack.callback(os.close, plan_fd)
    jail = await stack.enter_async_context(layers.view(None if request.link else base))

    async def run(fd: int) -> Any:
        return await worker.call(
            "build.files.write:layer",
            {"plan_fd": plan_fd},
            stdout=fd,
            jail=jail,
            pass_fds=(plan_fd, *fds),
            site_packages=True,
            memory_limit_bytes=MEMORY_BYTES,
        )

    return await layers.make(run, base)
