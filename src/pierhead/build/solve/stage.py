"""One platform's stages, solved side by side: each goes through its steps in order.

A stage waits for another one only where it needs it: as its base, or at the step that
copies or mounts from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from pierhead import tasks
from pierhead.build.dockerfile.model import SourceText
from pierhead.build.export.model import StepRecord
from pierhead.build.plan.model import (
    FromContext,
    FromImage,
    FromNothing,
    FromStage,
    Origin,
    Plan,
    StagePlan,
    Step,
)
from pierhead.build.solve import errors, steps
from pierhead.build.solve.bases import Bases
from pierhead.build.solve.classic import Intermediate, Numbers
from pierhead.build.solve.copying import words
from pierhead.build.solve.report import Report, Reported
from pierhead.build.solve.runner import Origins, Result, Runner
from pierhead.build.solve.sources import Tree
from pierhead.errors import PierError
from pierhead.oci.digest import ChainId, Digest, ImageId
from pierhead.oci.image_config import History


@dataclass(slots=True, kw_only=True)
class StageResult:
    """A stage that is done."""

    chain_id: ChainId | None
    created_ns: list[int | None] = field(default_factory=list)
    """One for each history entry of the plan's own (not the base's); ``None``: not known."""
    base_history: list[History] = field(default_factory=list)
    """Classic: the base image's entries."""
    history: list[History] = field(default_factory=list)
    """Classic: those of this stage and of the stages it stands on."""
    keys: list[tuple[str, ChainId | None]] = field(default_factory=list)
    times: dict[str, int] = field(default_factory=dict)
    """Key → when its step was done."""
    base_image: ImageId | None = None
    """The image that the stage (or the stage it stands on) stands on."""
    records: list[StepRecord] = field(default_factory=list)
    image: ImageId | None = None
    """Classic: the image of its last step."""
    parent: ImageId | None = None
    unrecorded: str = ""
    """Classic: what stands for that image when it isn't recorded."""
    last: Digest | None = None
    """The last step's digest, for the graph that doors draw."""


class Stages:
    """The stages of one plan."""

    def __init__(
        self,
        plan: Plan,
        runner: Runner,
        bases: Bases,
        report: Report,
        source: SourceText,
        *,
        numbers: Numbers | None = None,
        intermediate: Intermediate | None = None,
    ) -> None:
        self._plan = plan
        self._runner = runner
        self._bases = bases
        self._report = report
        self._source = source
        self._numbers = numbers
        self._intermediate = intermediate
        self._tasks: dict[int, asyncio.Task[StageResult | Exception]] = {}
        self.results: dict[int, StageResult] = {}

    async def solve(self) -> StageResult:
        """Do all stages; the target's result. The first error ends the others."""
        for index, stage in sorted(self._plan.stages.items()):
            self._tasks[index] = tasks.spawn(
                tasks.outcome(self._stage(stage)), name=f"stage {stage.name or index}"
            )
        try:
            left = set(self._tasks.values())
            while left:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    result = task.result()
                    if isinstance(result, Exception):
                        raise result
        finally:
            running = [task for task in self._tasks.values() if not task.done()]
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)
        return self.results[self._plan.target]

    async def _result(self, index: int) -> StageResult:
        found = await asyncio.shield(self._tasks[index])
        if isinstance(found, Exception):
            raise _FollowUp(found)
        return found

    async def _tree(self, origin: Origin) -> Tree:
        """Where a step takes files from."""
        sources = self._runner.sources
        if isinstance(origin, FromStage):
            result = await self._result(origin.index)
            name = self._plan.stages[origin.index].name
            return sources.chain(result.chain_id, name, result.last)
        if isinstance(origin, FromImage):
            base = await self._bases.image(origin)
            return sources.chain(base.chain_id, origin.name)
        if isinstance(origin, FromNothing):
            return sources.chain(None, "scratch")
        if isinstance(origin, FromContext):
            base_of = await self._bases.named(origin, self._plan.platform)
            if base_of is not None:
                return sources.chain(base_of.chain_id, origin.name)
        return await sources.tree(origin)

    async def _stage(self, stage: StagePlan) -> StageResult:
        result = StageResult(chain_id=None)
        base = await self._base(stage, result)
        if base is not None and self._numbers is None:
            self._base_done(stage, base, result)
            base = None
        for position, step in enumerate(stage.steps):
            if position % 16 == 15:
                await asyncio.sleep(0)  # what is cached never waits: let others have a turn
            if base is not None and not step.is_trigger:
                self._base_done(stage, base, result)
                base = None
            await self._step(stage, position, step, result)
        if base is not None:
            self._base_done(stage, base, result)
        self.results[stage.index] = result
        return result

    async def _base(self, stage: StagePlan, result: StageResult) -> Reported | None:
        """Have what the stage stands on; the step that tells of it, not ended yet."""
        origin = stage.base
        if isinstance(origin, FromStage):
            base = await self._result(origin.index)
            result.chain_id, result.last = base.chain_id, base.last
            result.image, result.base_image = base.image, base.base_image
            result.base_history, result.history = base.base_history, list(base.history)
        elif isinstance(origin, FromImage):
            image = await self._bases.image(origin)
            result.chain_id, result.image = image.chain_id, image.image_id
            result.base_image = image.image_id
            result.base_history = image.config.history
        elif isinstance(origin, FromContext):
            named = await self._bases.named(origin, self._plan.platform)
            if named is not None:
                result.chain_id, result.image = named.chain_id, named.image_id
                result.base_image = named.image_id
                result.base_history = named.config.history
            else:
                tree = await self._runner.sources.tree(origin)
                result.chain_id = await self._bases.layer_of(tree)
        if result.chain_id is not None:
            self._runner.lease.add_chains([result.chain_id])
        return self._tell_base(stage)

    def _tell_base(self, stage: StagePlan) -> Reported | None:
        """Start the step of FROM; stages on the same image share it (not in the classic)."""
        if not stage.base_step and self._numbers is None:
            return None
        bases = self._bases
        if self._numbers is not None:
            number = self._numbers.base(stage.index)
            started = bases.started.pop(stage.index, None)
        else:
            number = 0
            started = bases.told.get(stage.base) if isinstance(stage.base, FromImage) else None
        step = started or self._report.start(
            stage.base_step or stage.instruction,
            identity=f"{self._plan.platform} {stage.index} base",
            stage=stage.name,
            instruction=stage.instruction,
            number=number,
            total=self._numbers.total if self._numbers else 0,
            lines=stage.location.lines,
            order=number,
        )
        if isinstance(stage.base, FromImage):
            bases.told[stage.base] = step
        return step

    def _base_done(self, stage: StagePlan, step: Reported, result: StageResult) -> None:
        """FROM is told as done: in the classic after the ONBUILD steps it brought."""
        result.last = result.last or step.step
        step.done(cached=True, image_id=result.image or "")
        self._record(stage, step, None, result, "", stage.location.lines)

    async def _step(self, stage: StagePlan, position: int, step: Step, result: StageResult) -> None:
        if step.op is None and self._numbers is None:
            if step.created_by:
                result.created_ns.append(None)
            return
        started: list[Reported] = []
        inputs = [result.last] if result.last is not None else []

        async def origins(origin: Origin) -> Tree:
            tree = await self._tree(origin)
            if tree.step is not None and tree.step not in inputs:
                inputs.append(tree.step)
            return tree

        def reported() -> Reported:
            if not started:
                order = total = 0
                if self._numbers is not None:
                    triggers = stage.triggers
                    order = self._numbers.step(stage.index, position, triggers)
                    total = triggers if step.is_trigger else self._numbers.total
                started.append(
                    self._report.start(
                        step.name or step.instruction,
                        identity=f"{self._plan.platform} {stage.index} {position}",
                        inputs=inputs,
                        stage=stage.name,
                        instruction=step.instruction,
                        number=0 if step.is_trigger else order,
                        total=total,
                        lines=step.location.lines,
                        order=order,
                        within=step.is_trigger,
                    )
                )
            return started[0]

        try:
            await self._do(stage, position, step, result, reported, origins)
        except _FollowUp as error:
            raise error.cause_ from None
        except asyncio.CancelledError:
            if started:
                started[0].done(canceled=True, error="context canceled")
            raise
        except Exception as error:
            if isinstance(error, PierError):
                error = words(error, classic=self._runner.options.classic, op=step.op)
            errors.locate(error, step.location, self._source)
            text = error.message if isinstance(error, PierError) else str(error)
            debug_id = getattr(error, "debug_id", "")
            reported().kept.debug_id = debug_id
            reported().done(error=text)
            raise error

    async def _do(
        self,
        stage: StagePlan,
        position: int,
        step: Step,
        result: StageResult,
        reported: Callable[[], Reported],
        origins: Origins,
    ) -> None:
        runner = self._runner
        base = result.chain_id
        if self._numbers is not None:
            reported()
        if step.op is None:
            done = None
        else:
            done = await steps.do(
                runner,
                base,
                step,
                origins,
                stage.platform,
                reported,
                place=f"{runner.project} {stage.name} {position}" if runner.project else "",
                use_cache=not stage.ignore_cache,
            )
        told = reported()
        image_id, cached = "", done is not None and done.cached
        if self._intermediate is not None:
            await runner.ensure(done.chain_id if done is not None else None)
            image_id, cached = self._intermediate.step(stage, step, result, done)
        elif done is not None:
            result.chain_id = done.chain_id
            result.created_ns.append(done.created_ns)
        if done is not None:
            result.keys.append((done.key, done.chain_id))
            result.times[done.key] = done.created_ns
        told.done(
            cached=cached,
            miss=done.miss if done is not None and not done.cached else "",
            image_id=image_id,
        )
        self._record(stage, told, done, result, step.instruction, step.location.lines)
        result.last = told.step

    def _record(
        self,
        stage: StagePlan,
        told: Reported,
        done: Result | None,
        result: StageResult,
        instruction: str,
        lines: tuple[int, int],
    ) -> None:
        kept = told.kept
        result.records.append(
            StepRecord(
                id=told.step,
                name=kept.name,
                instruction=instruction or stage.instruction,
                started_ns=kept.started_ns,
                finished_ns=kept.finished_ns,
                cached=kept.cached,
                inputs=tuple(kept.inputs),
                chain_id=result.chain_id,
                miss=kept.miss,
                lines=lines,
            )
        )


class _FollowUp(Exception):
    """Another stage failed: its error is told there, not again at who waited for it."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause_ = cause
