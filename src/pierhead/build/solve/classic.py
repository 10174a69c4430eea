"""What only the classic door has: numbered steps in order, and an image after each of them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from copy import copy
from typing import TYPE_CHECKING, Final

from pierhead import __version__
from pierhead.build.cache.store import CacheStore, Record
from pierhead.build.dockerfile.model import Dockerfile
from pierhead.build.plan import keys
from pierhead.build.plan.model import CopyOp, RunOp, StagePlan, Step, WorkdirOp
from pierhead.build.solve.layers import diff_ids
from pierhead.engine.images.clock import format_rfc3339
from pierhead.engine.images.index import ImageIndex
from pierhead.oci.digest import ImageId, sha256
from pierhead.oci.image_config import History, ImageConfig, RootFs
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.build.solve.runner import Result
    from pierhead.build.solve.stage import StageResult


class Numbers:
    """``Step 3/7``: which number each step has; they are told in this order.

    ARGs before the first FROM count; ONBUILD's steps are told within their FROM.
    """

    def __init__(self, dockerfile: Dockerfile, stages: Iterable[int], labels: int) -> None:
        """``stages``: those that are needed; ``labels``: how many LABELs of ``--label`` end
        the last of them."""
        number = len(dockerfile.args)
        self._bases: dict[int, int] = {}
        needed = sorted(stages)
        for index in needed:
            self._bases[index] = number + 1
            number += 1 + len(dockerfile.stages[index].instructions)
        self.total = number + labels

    def base(self, index: int) -> int:
        """Of a stage's FROM."""
        return self._bases[index]

    def step(self, index: int, position: int, triggers: int) -> int:
        """Of a stage's step; the first ``triggers`` are ONBUILD's and have FROM's."""
        return self._bases[index] + max(position - triggers + 1, 0)


RECORDED: Final = 128
"""How many steps of a stage get an image recorded, besides the last one. Every image repeats
the whole history, so thousands of them would take gigabytes."""


class Intermediate:
    """Records an image after every step, as its children's parent."""

    def __init__(self, index: ImageIndex, cache: CacheStore, snapshots: Snapshotter) -> None:
        self._index = index
        self._cache = cache
        self._snapshots = snapshots
        self.epoch_s: int | None = None

    def step(
        self, stage: StagePlan, step: Step, result: StageResult, done: Result | None
    ) -> tuple[ImageId, bool]:
        """Make (or find) the image after ``step``; its id, and whether all of it was known."""
        chain_id, empty = result.chain_id, True
        if done is not None and done.changed:
            chain_id, empty = done.chain_id, False
        created_by = step.created_by
        if done is not None and isinstance(step.op, CopyOp):
            created_by = created_by.replace("{files}", done.shown)
        cached = done is None or done.cached
        if done is not None:
            created_ns = done.created_ns
        else:
            created_ns, cached = self._when(result, step, created_by, use=not stage.ignore_cache)
        result.chain_id = chain_id
        stamp = self._stamp(created_ns)
        result.history.append(
            History(created=stamp, created_by=created_by, author=step.author, empty_layer=empty)
        )
        is_last = step is stage.steps[-1]
        if len(result.history) > RECORDED and not is_last:
            result.unrecorded = sha256(f"{result.unrecorded or result.image} {stamp}".encode())
            return ImageId(result.unrecorded), cached
        data = self._config(stage, step, result, created_by, stamp).encode()
        image_id = ImageId(sha256(data))
        known = self._index.images.get(image_id)
        if known is None or known.parent != result.image:
            self._index.add(data, parent=result.image)
        result.parent, result.image, result.unrecorded = result.image, image_id, ""
        return image_id, cached

    def _when(
        self, result: StageResult, step: Step, created_by: str, *, use: bool
    ) -> tuple[int, bool]:
        """When a step that only changes the config was done first."""
        parent = result.unrecorded or result.image or ""
        parts = {"op": "config", "parent": parent, "text": created_by}
        key = keys.key(parts)
        record = self._cache.get(key) if use else None
        if record is not None:
            return record.created_ns, True
        now = time.time_ns()
        self._cache.put(
            Record(
                key=key,
                chain_id=None,
                size_bytes=0,
                created_ns=now,
                used_ns=now,
                uses=1,
                description=step.text,
                kind="config",
            )
        )
        return now, False

    def _config(
        self, stage: StagePlan, step: Step, result: StageResult, created_by: str, stamp: str
    ) -> ImageConfig:
        base = stage.config
        # Only read from here on, so what doesn't change needs no copy.
        run = copy(step.config)
        run.image = result.image or ""
        container = copy(run)
        container.cmd = command_of(step, created_by)
        return ImageConfig(
            architecture=base.architecture,
            variant=base.variant,
            os=base.os,
            os_version=base.os_version,
            created=stamp,
            author=step.author,
            docker_version=__version__,
            config=run,
            container_config=container,
            rootfs=RootFs(diff_ids=diff_ids(self._snapshots, result.chain_id)),
            history=[*result.base_history, *result.history],
        )

    def _stamp(self, created_ns: int | None) -> str:
        when = created_ns or 0
        if self.epoch_s is not None:
            when = min(when, self.epoch_s * 1_000_000_000)
        return format_rfc3339(when)


def command_of(step: Step, created_by: str) -> list[str]:
    """``container_config.Cmd``: what the step's container would have been made with."""
    if isinstance(step.op, RunOp):
        return [created_by] if created_by.startswith("|") else list(step.op.args)
    shell = step.config.shell or ["/bin/sh", "-c"]
    rest = created_by.removeprefix(" ".join(shell) + " ")
    if isinstance(step.op, CopyOp | WorkdirOp):
        return [*shell, rest]
    marker = "#(nop) "
    return [*shell, marker, rest.removeprefix(marker).removeprefix(" ")]
