"""One build from its options to its solved images."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pierhead import tasks
from pierhead.build.cache.importing import CacheImporter
from pierhead.build.cache.store import CacheStore
from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.model import Dockerfile, Stage
from pierhead.build.execute.executor import Executor
from pierhead.build.export.model import Assembled, Solved
from pierhead.build.files.service import FileService
from pierhead.build.model import BuildOptions, Client, Warned
from pierhead.build.plan import args, readable
from pierhead.build.plan.model import Plan
from pierhead.build.solve.assemble import assemble
from pierhead.build.solve.bases import Bases
from pierhead.build.solve.classic import Intermediate, Numbers
from pierhead.build.solve.flights import Flights
from pierhead.build.solve.planning import Planning
from pierhead.build.solve.reading import Reading
from pierhead.build.solve.report import Report
from pierhead.build.solve.runner import CacheGone, Runner
from pierhead.build.solve.sources import Sources
from pierhead.build.solve.stage import Stages
from pierhead.engine.images.content import Lease
from pierhead.engine.images.service import ImageService
from pierhead.errors import PierError
from pierhead.oci import platform as platforms
from pierhead.oci.platform import Platform
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.build.service import Pull
    from pierhead.build.solve.bases import Solved as FindSolved


@dataclass(slots=True, kw_only=True)
class Parts:
    """What builds are done with."""

    snapshots: Snapshotter
    images: ImageService
    files: FileService
    executor: Executor
    cache: CacheStore
    importer: CacheImporter
    flights: Flights
    pull: Pull
    solved: FindSolved


@dataclass(slots=True)
class Build:
    """See ``solve``. ``close`` gives back its sources; the lease is the solved build's."""

    parts: Parts
    options: BuildOptions
    client: Client
    report: Report
    lease: Lease
    ref: str
    sources: Sources = field(init=False)
    bases: Bases = field(init=False)
    reading: Reading = field(init=False)
    planning: Planning = field(init=False)
    runner: Runner | None = None

    def __post_init__(self) -> None:
        options = self.options
        for values in (options.build_args, options.labels, options.annotations):
            for key, value in list(values.items()):
                values[key] = readable.text(value)
        self._name_contexts()
        self.sources = Sources(
            self.parts.files,
            self.client,
            self.report,
            shared_key=options.multi_stage_cache_key,
            keep_git_dir=_is_true(options.build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "")),
        )
        self.bases = Bases(
            images=self.parts.images,
            files=self.parts.files,
            pull=self.parts.pull,
            client=self.client,
            options=options,
            report=self.report,
            lease=self.lease,
            snapshots=self.parts.snapshots,
            solved=self.parts.solved,
        )
        platform = self.platforms()[0] or self.host
        self.reading = Reading(options, self.sources, self.report, self.host, platform)

    def _name_contexts(self) -> None:
        """``NAME::linux/amd64`` is the context NAME for that platform alone."""
        contexts = self.options.named_contexts
        platform = self.platforms()[0] or self.host
        for key in [key for key in contexts if "::" in key]:
            name, _, wanted = key.partition("::")
            value = contexts.pop(key)
            if wanted == str(platform):
                contexts[name] = value

    @property
    def host(self) -> Platform:
        return self.parts.images.index.host

    def platforms(self) -> list[Platform | None]:
        """Those that were asked for, each once; ``[None]`` for whatever it comes to."""
        asked = [platforms.parse(text, self.host.architecture) for text in self.options.platforms]
        found: list[Platform | None] = list(dict.fromkeys(asked))
        return found or [None]

    @property
    def dockerfile(self) -> Dockerfile:
        return self.reading.dockerfile

    def base_env(self, stage: Stage) -> Mapping[str, str] | None:
        """For a lint without a build: the variables of bases that are here."""
        planning = Planning(self.options, self.dockerfile, self.bases, self.report, self.host)
        return planning.base_env(stage)

    async def solve(self) -> Solved:
        """Do it all; the images that came of it."""
        started = time.time_ns()
        await self.reading.read()
        plans = await self._plans()
        self._merge_paths(plans)
        runner = self.runner = await self._runner(plans)
        try:
            images = await self._all(plans, runner)
        except CacheGone as error:
            self._warn_cache(error)
            await self._drop_imports(runner)
            images = await self._all(plans, runner)
        finally:
            imported = list(runner.imported)
            await self._drop_imports(runner)
        if self.options.classic:
            self._unused(plans)
        return Solved(
            ref=self.ref,
            options=self.options,
            images=images,
            warnings=list(self.report.warnings),
            dockerfile=self.reading.definition.data,
            dockerfile_name=self.reading.definition.name,
            started_ns=started,
            finished_ns=time.time_ns(),
            imported=imported,
        )

    async def _plans(self) -> list[Plan]:
        """One for each platform; the lint's findings go out when the bases are known."""
        planning = self.planning = Planning(
            self.options, self.dockerfile, self.bases, self.report, self.host
        )
        wanted = self.platforms()
        try:
            plans = [await planning.plan(each, several=len(wanted) > 1) for each in wanted]
        except PierError:
            with suppress(BuildError):  # the plan's error counts
                await self._lint()
            raise
        await self._lint()
        return plans

    async def _lint(self) -> None:
        if not self.options.classic:
            await self.reading.check(self.planning.base_env, all_stages=False)

    async def _drop_imports(self, runner: Runner) -> None:
        imported, runner.imported = runner.imported, []
        for cache in imported:
            await cache.close()

    def _warn_cache(self, error: CacheGone) -> None:
        self.report.warn(
            Warned(
                time_ns=time.time_ns(),
                rule="",
                text=f"{error.message}: building without --cache-from",
            )
        )

    def _merge_paths(self, plans: Sequence[Plan]) -> None:
        merged: dict[str, Sequence[str]] = {}
        for plan in plans:
            for name, paths in plan.context_paths.items():
                if name in merged and (not merged[name] or not paths):
                    merged[name] = []
                else:
                    merged[name] = sorted({*merged.get(name, ()), *paths})
        self.sources.paths = merged

    async def _runner(self, plans: Sequence[Plan]) -> Runner:
        options = self.options
        if options.source_date_epoch is None:
            options = replace(options, source_date_epoch=plans[0].epoch_s)
        runner = Runner(
            snapshots=self.parts.snapshots,
            files=self.parts.files,
            executor=self.parts.executor,
            cache=self.parts.cache,
            flights=self.parts.flights,
            sources=self.sources,
            options=options,
            client=self.client,
            lease=self.lease,
            ref=self.ref,
            project=options.multi_stage_cache_key or next(iter(options.tags), ""),
            hostname=options.build_args.get("BUILDKIT_SANDBOX_HOSTNAME", ""),
            mount_namespace=options.build_args.get("BUILDKIT_CACHE_MOUNT_NS", ""),
        )
        if not options.no_cache:
            for number, option in enumerate(options.cache_from):
                found = await self.parts.importer.open(
                    option, self.client, self.report.emit, number=number
                )
                if found is not None:
                    runner.imported.append(found)
        return runner

    async def _all(self, plans: Sequence[Plan], runner: Runner) -> list[Assembled]:
        running = [
            tasks.spawn(tasks.outcome(self._one(plan, runner)), name=f"build {plan.platform}")
            for plan in plans
        ]
        try:
            left = set(running)
            while left:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if isinstance(error := task.result(), Exception):
                        raise error
        finally:
            unfinished = [task for task in running if not task.done()]
            for task in unfinished:
                task.cancel()
            if unfinished:
                await asyncio.wait(unfinished)
        return [found for task in running if isinstance(found := task.result(), Assembled)]

    async def _one(self, plan: Plan, runner: Runner) -> Assembled:
        classic = self.options.classic
        numbers = intermediate = None
        if classic:
            numbers = Numbers(self.dockerfile, plan.stages, len(plan.labels))
            index = self.parts.images.index
            intermediate = Intermediate(index, self.parts.cache, self.parts.snapshots)
            intermediate.epoch_s = plan.epoch_s
            if not self.bases.started:
                self.planning.tell_args(numbers)
        stages = Stages(
            plan,
            runner,
            self.bases,
            self.report,
            self.dockerfile.source,
            numbers=numbers,
            intermediate=intermediate,
        )
        result = await stages.solve()
        await runner.ensure(result.chain_id)
        return assemble(
            plan,
            stages,
            result,
            self.parts.snapshots,
            self.parts.images.index,
            [*self.bases.materials, *self.sources.materials],
            classic=classic,
        )

    def _unused(self, plans: Sequence[Plan]) -> None:
        used = frozenset().union(*(plan.used_args for plan in plans))
        left = args.unused(self.options.build_args, used)
        if left:
            self.report.warn(
                Warned(
                    time_ns=time.time_ns(),
                    rule="UnusedBuildArgs",
                    text=f"[Warning] One or more build-args [{' '.join(left)}] were not consumed",
                )
            )

    async def close(self) -> None:
        """Give back what was read from, when no step reads from it any more."""
        working = set(self.runner.working) if self.runner is not None else set()
        if working:  # other builds wait for them
            await asyncio.wait(working)
        await self.bases.close()
        await self.sources.close()
        await self.parts.files.forget(self.client)


def _is_true(text: str) -> bool:
    return text.lower() in ("1", "t", "true")
