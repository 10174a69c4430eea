"""Which work a step is."""

from __future__ import annotations

from collections.abc import Callable

from pierhead.build.plan.model import CopyOp, RunOp, Step, WorkdirOp
from pierhead.build.solve.copying import CopyWork, WorkdirWork
from pierhead.build.solve.report import Reported
from pierhead.build.solve.runner import Origins, Result, Runner
from pierhead.build.solve.running import RunWork
from pierhead.build.solve.work import Work
from pierhead.oci.digest import ChainId
from pierhead.oci.platform import Platform


async def do(
    runner: Runner,
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
        work: Work = RunWork(runner, base, step, op, origins, platform)
    elif isinstance(op, CopyOp):
        work = CopyWork(runner, base, step, op, origins, platform)
    elif isinstance(op, WorkdirOp):
        work = WorkdirWork(runner, base, step, op, origins, platform)
    else:
        raise TypeError(op)
    return await work.result(reported, place=place, use_cache=use_cache)
