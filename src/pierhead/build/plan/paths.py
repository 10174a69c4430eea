"""Which paths of each context a plan needs: nothing else has to be sent. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence

from pierhead.build.execute.model import MountKind
from pierhead.build.plan.model import CopyOp, FromContext, RunOp, StagePlan


def needed(stages: Iterable[StagePlan]) -> Mapping[str, Sequence[str]]:
    """Context name → its paths and globs, sorted, without a leading "/"; none: all of it.

    Contexts that nothing asks for aren't in it. A stage that stands on a context needs all.
    """
    found: dict[str, set[str]] = {}
    for stage in stages:
        if isinstance(stage.base, FromContext):
            found.setdefault(stage.base.name, set()).add("")
        for step in stage.steps:
            if isinstance(step.op, CopyOp):
                for part in step.op.parts:
                    if isinstance(part.origin, FromContext):
                        found.setdefault(part.origin.name, set()).update(
                            _relative(path) for path in part.request.sources
                        )
            elif isinstance(step.op, RunOp):
                for mount in step.op.mounts:
                    if isinstance(mount.origin, FromContext) and mount.spec.kind in (
                        MountKind.BIND,
                        MountKind.CACHE,
                    ):
                        found.setdefault(mount.origin.name, set()).add(_relative(mount.spec.source))
    return {name: [] if "" in paths else sorted(paths) for name, paths in found.items()}


def _relative(path: str) -> str:
    """``/a/./b/`` → ``a/b``; the root is ""."""
    return posixpath.normpath("/" + path).lstrip("/")
