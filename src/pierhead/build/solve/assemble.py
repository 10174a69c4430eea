"""The finished image of one platform, as exporters take it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from pierhead.build.export.model import Assembled, Material
from pierhead.build.plan.config import clone
from pierhead.build.plan.model import FromStage, Plan
from pierhead.build.solve.layers import layers
from pierhead.build.solve.stage import StageResult, Stages
from pierhead.engine.images.clock import format_rfc3339
from pierhead.engine.images.index import ImageIndex
from pierhead.oci.digest import ChainId
from pierhead.oci.image_config import History, ImageConfig, RootFs
from pierhead.store.snapshots import Snapshotter

_NO_HISTORY: Final = "buildkit.exporter.image.v0"


def assemble(
    plan: Plan,
    stages: Stages,
    result: StageResult,
    snapshots: Snapshotter,
    index: ImageIndex,
    materials: Sequence[Material],
    *,
    classic: bool,
) -> Assembled:
    """Config, layers and what is known of their making; the caller holds the chains."""
    stack = layers(snapshots, result.chain_id)
    if classic and result.image is not None:
        config = index.images[result.image].config
    else:
        config = _config(plan, stages, [layer.diff_id for layer in stack])
    records = [
        record for number in sorted(stages.results) for record in stages.results[number].records
    ]
    return Assembled(
        platform=plan.platform,
        config=clone(config),
        chains=tuple(layer.chain_id for layer in stack),
        base=result.base_image,
        parent=result.parent if classic else None,
        materials=list(materials),
        steps=records,
        cache_keys=tuple(_keys(stages)),
        cache_times={
            key: when for each in stages.results.values() for key, when in each.times.items()
        },
    )


def _keys(stages: Stages) -> list[tuple[str, ChainId | None]]:
    return [pair for number in sorted(stages.results) for pair in stages.results[number].keys]


def _config(plan: Plan, stages: Stages, diff_ids: Sequence[str]) -> ImageConfig:
    target = plan.stages[plan.target]
    config = clone(target.config)
    if not plan.implicit_platform:
        config.os, config.architecture = plan.platform.os, plan.platform.architecture
        config.variant = plan.platform.variant
    config.container = config.docker_version = config.comment = ""
    config.container_config = None
    config.rootfs = RootFs(diff_ids=list(diff_ids))  # type: ignore[arg-type]
    config.history = _whole(_history(plan, stages, plan.target), len(diff_ids))
    config.created = config.history[-1].created if config.history else ""
    if plan.epoch_s is not None:
        config.created = format_rfc3339(plan.epoch_s * 1_000_000_000)
    elif not config.created:
        config.created = format_rfc3339(time.time_ns())
    return config


def _whole(history: list[History], layers: int) -> list[History]:
    """One entry that isn't empty for each layer: some bases (a directory) bring no history."""
    missing = layers - sum(not entry.empty_layer for entry in history)
    if missing <= 0:
        return history
    created = next((entry.created for entry in history if entry.created), "")
    return [*(History(created=created, comment=_NO_HISTORY) for _ in range(missing)), *history]


def _history(plan: Plan, stages: Stages, index: int) -> list[History]:
    """The stage's history with its times, as BuildKit fills them in.

    Layers have the time they were made at; what only changes the config has that of the
    layer before it (of the first new one, if there is none before).
    """
    stage, result = plan.stages[index], stages.results[index]
    if isinstance(stage.base, FromStage):
        entries = _history(plan, stages, stage.base.index)
    else:
        entries = [clone(entry) for entry in stage.config.history[: stage.base_history]]
    own = [clone(entry) for entry in stage.config.history[stage.base_history :]]
    times: list[str] = []
    for entry, created_ns in zip(own, result.created_ns, strict=True):
        if plan.epoch_s is not None:
            times.append(format_rfc3339(plan.epoch_s * 1_000_000_000))
        elif created_ns is not None and not entry.empty_layer:
            times.append(format_rfc3339(created_ns))
        else:
            times.append("")
    first = next((when for when in times if when), "")
    before = first or next((entry.created for entry in reversed(entries) if entry.created), "")
    for entry, when in zip(own, times, strict=True):
        before = when or before
        entry.created = before
    return [*entries, *own]
