"""One build from its options to its solved images."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pierhead import tasks
from pierhead.build.cache.importing import CacheImporter
from pierhead.build.cache.store import CacheStore
from pierhead.build.dockerfile import checks, parse
from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.ignore import Rules
from pierhead.build.dockerfile.model import Dockerfile
from pierhead.build.execute.executor import Executor
from pierhead.build.export.model import Assembled, Solved
from pierhead.build.files.service import FileService
from pierhead.build.history import HistoryRecord
from pierhead.build.model import BuildOptions, Client, Wanted, Warned
from pierhead.build.plan import args, readable, urls
from pierhead.build.plan.model import FromContext, FromImage, Origin, Plan
from pierhead.build.plan.planner import Base, Planner, Request
from pierhead.build.solve import definition
from pierhead.build.solve.assemble import assemble
from pierhead.build.solve.bases import Bases
from pierhead.build.solve.classic import Intermediate, Numbers
from pierhead.build.solve.flights import Flights
from pierhead.build.solve.report import Report
from pierhead.build.solve.sources import Sources
from pierhead.build.solve.stage import Stages
from pierhead.build.solve.steps import CacheGone, Runner
from pierhead.engine.images.content import Lease
from pierhead.engine.images.service import ImageService
from pierhead.errors import InvalidParameter, PierError
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
    definition: definition.Definition = field(init=False)
    dockerfile: Dockerfile = field(init=False)
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
            solved=self.parts.solved,
        )

    def _name_contexts(self) -> None:
        """``NAME::linux/amd64`` is the context NAME for that platform alone."""
        contexts = self.options.named_contexts
        platform = self.platforms()[0] or self.host
        for key in [key for key in contexts if "::" in key]:
            name, _, wanted = key.partition("::")
            value = contexts.pop(key)
            if wanted == str(platform):
                contexts[name] = value

    # Reading

    async def read(self) -> Dockerfile:
        """Load and parse the Dockerfile; warnings go out. ``BuildError``."""
        self.definition = await definition.load(self.options, self.sources)
        self.sources.context = self.options.context
        self.sources.named = self.options.named_contexts
        self.sources.ignore = self.definition.ignore
        self._note()
        includes: dict[str, bytes] = {}
        while True:
            try:
                self.dockerfile = parse(
                    self.definition.data,
                    name=self.definition.name,
                    include=lambda path: _included(path, includes),
                )
            except _Include as wanted:
                includes[wanted.path] = await self._include(wanted.path)
            else:
                self._check_syntax()
                return self.dockerfile

    def _check_syntax(self) -> None:
        """``# syntax=`` names an image with a frontend; ours reads every version's language."""
        asked = self.options.build_args.get("BUILDKIT_SYNTAX", "")
        asked = asked or self.dockerfile.directives.get("syntax", "")
        image = asked.split()[0] if asked.split() else ""
        name = image.removeprefix("docker.io/").partition("@")[0].partition(":")[0]
        if name in ("", "docker/dockerfile", "docker/dockerfile-upstream"):
            return
        place = self.dockerfile.directive_locations.get("syntax")
        self.report.warn(
            Warned(
                time_ns=time.time_ns(),
                rule="",
                text=f"the frontend {image} is not used: Pierhead reads the Dockerfile itself",
                file=self.dockerfile.source.name,
                lines=(place.lines,) if place is not None else (),
                source=self.definition.data,
            )
        )

    def _note(self) -> None:
        record: HistoryRecord = self.report.record
        record.dockerfile = self.definition.data.decode("utf-8", "replace")
        record.dockerfile_name = self.definition.name

    async def _include(self, path: str) -> bytes:
        """A file of the context for INCLUDE, read before anything else of it is needed."""
        context = self.options.context
        if urls.is_remote(context):
            source = (await self.sources.remote(context)).source
        else:
            with self.sources.start(f"[internal] load {path}", context) as step:
                source, _ = await self.sources.local(
                    context,
                    Wanted(follow=(path,), shared_key=self.sources.key("include", context)),
                    step,
                )
        data = await self.sources.read(source, path)
        if data is None:
            raise InvalidParameter(f"INCLUDE {path}: no such file in the build context")
        return data

    def check(self) -> list[Warned]:
        """Lint; the findings go out as warnings. ``BuildError`` if they are to be errors."""
        dockerfile = self.dockerfile
        findings = checks.run(
            dockerfile,
            build_args=self.options.build_args,
            target=self.options.target,
            platform_args=args.platform_args(
                self.host, self.platforms()[0] or self.host, self.options.target, {}
            ),
            ignore=Rules(self.definition.ignore) if self.definition.ignore else None,
        )
        warned = []
        for finding in findings:
            place = finding.location
            warning = Warned(
                time_ns=time.time_ns(),
                rule=finding.rule,
                text=finding.text,
                description=finding.description,
                url=finding.url,
                file=dockerfile.source.name,
                lines=(place.lines,) if place is not None else (),
                source=self.definition.data,
                level=finding.level,
            )
            warned.append(warning)
            self.report.warn(warning)
        failure = checks.failure(dockerfile, findings, build_args=self.options.build_args)
        if failure is not None:
            raise BuildError(failure)
        return warned

    # Planning

    @property
    def host(self) -> Platform:
        return self.parts.images.index.host

    def platforms(self) -> list[Platform | None]:
        """Those that were asked for, each once; ``[None]`` for whatever it comes to."""
        asked = [platforms.parse(text, self.host.architecture) for text in self.options.platforms]
        found: list[Platform | None] = list(dict.fromkeys(asked))
        return found or [None]

    def _request(self, platform: Platform | None, *, several: bool) -> Request:
        options = self.options
        return Request(
            build_platform=self.host,
            platform=platform,
            show_platform=several,
            target=options.target,
            build_args=options.build_args,
            labels=options.labels,
            named_contexts=frozenset(options.named_contexts),
            no_cache=options.no_cache,
            no_cache_stages=frozenset(name.lower() for name in options.no_cache_stages),
            network=options.network,
            epoch_s=options.source_date_epoch,
            classic=options.classic,
        )

    async def plan(self, platform: Platform | None, *, several: bool = False) -> Plan:
        """The plan for one platform; bases are resolved (and pulled) on the way."""
        planner = Planner(self.dockerfile, self._request(platform, several=several))
        self.bases.for_platform(platform or self.host)
        while needs := planner.missing():
            # The classic builder's steps, and so its pulls, come one after the other.
            batches = [[need] for need in needs] if self.options.classic else [needs]
            for batch in batches:
                if self.options.classic:
                    self._tell_from(planner, batch[0])
                await self._provide(planner, batch)
        return planner.finish()

    def _tell_from(self, planner: Planner, origin: Origin) -> None:
        """Classic: FROM is told before its pull."""
        index = planner.asked_by(origin)
        if index is None or index in self.bases.started:
            return
        numbers = Numbers(self.dockerfile, planner.needed(), len(self.options.labels))
        if not self.bases.started:
            self._tell_args(numbers)
        stage = self.dockerfile.stages[index]
        number = numbers.base(index)
        step = self.report.start(
            stage.original,
            identity=f"{index} base",
            stage=stage.name,
            instruction=stage.original,
            number=number,
            total=numbers.total,
            lines=stage.location.lines,
            order=number,
        )
        self.bases.started[index] = step
        if isinstance(origin, FromImage):
            self.bases.telling[origin] = step

    async def _provide(self, planner: Planner, needs: Sequence[Origin]) -> None:
        origins = [need for need in needs if isinstance(need, FromImage | FromContext)]
        running = [
            tasks.spawn(tasks.outcome(self.bases.base(origin)), name="base") for origin in origins
        ]
        try:
            bases = await asyncio.gather(*running)
        except asyncio.CancelledError:
            for task in running:
                task.cancel()
            raise
        for origin, base in zip(origins, bases, strict=True):
            if isinstance(base, Exception):
                place = planner.where(origin)
                if isinstance(base, PierError) and not isinstance(base, BuildError) and place:
                    from pierhead.build.solve.errors import locate

                    locate(base, place, self.dockerfile.source)
                raise base
            planner.provide(origin, base)
            self._check_platform(planner, origin, base)

    def _check_platform(self, planner: Planner, origin: Origin, base: Base) -> None:
        """The one lint rule that needs to know the base image."""
        if self.options.classic or not isinstance(origin, FromImage) or base.config is None:
            return
        found = base.config
        wanted = origin.platform
        if wanted.matches(found.os, found.architecture, found.variant):
            return
        place = planner.where(origin)
        actual = platforms.normalise(found.os or "linux", found.architecture, found.variant)
        self.report.warn(
            Warned(
                time_ns=time.time_ns(),
                rule="InvalidBaseImagePlatform",
                text=f'Base image {origin.name} was pulled with platform "{actual}", expected '
                f'"{wanted}" for current build',
                description="Base image platform does not match expected target platform",
                url="https://docs.docker.com/go/dockerfile/rule/invalid-base-image-platform/",
                file=self.dockerfile.source.name,
                lines=(place.lines,) if place is not None else (),
                source=self.definition.data,
            )
        )

    # Solving

    async def solve(self) -> Solved:
        """Do it all; the images that came of it."""
        started = time.time_ns()
        await self.read()
        if not self.options.classic:
            self.check()
        wanted = self.platforms()
        plans = [await self.plan(platform, several=len(wanted) > 1) for platform in wanted]
        self._merge_paths(plans)
        runner = self.runner = await self._runner(plans)
        try:
            images = await self._all(plans, runner)
        except CacheGone as error:
            self._warn_cache(error)
            await self._drop_imports(runner)
            images = await self._all(plans, runner)
        finally:
            await self._drop_imports(runner)
        if self.options.classic:
            self._unused(plans)
        return Solved(
            ref=self.ref,
            options=self.options,
            images=images,
            warnings=list(self.report.warnings),
            dockerfile=self.definition.data,
            dockerfile_name=self.definition.name,
            started_ns=started,
            finished_ns=time.time_ns(),
        )

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
                self._tell_args(numbers)
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

    def _tell_args(self, numbers: Numbers) -> None:
        """The classic builder counts the ARGs before the first FROM as steps."""
        for number, arg in enumerate(self.dockerfile.args, start=1):
            step = self.report.start(
                arg.original,
                identity=f"arg {number}",
                instruction=arg.original,
                number=number,
                total=numbers.total,
                lines=arg.location.lines,
                order=number,
            )
            step.done()

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


class _Include(Exception):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def _included(path: str, known: Mapping[str, bytes]) -> bytes:
    if path not in known:
        raise _Include(path)
    return known[path]


def _is_true(text: str) -> bool:
    return text.lower() in ("1", "t", "true")
