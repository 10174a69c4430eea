"""From a read Dockerfile to its plans: bases are resolved, and pulled, on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pierhead import tasks
from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.model import Dockerfile, Stage
from pierhead.build.model import BuildOptions, Warned
from pierhead.build.plan.config import environment
from pierhead.build.plan.model import FromContext, FromImage, Origin, Plan
from pierhead.build.plan.planner import Base, Planner, Request
from pierhead.build.solve.bases import Bases
from pierhead.build.solve.classic import Numbers
from pierhead.build.solve.errors import locate
from pierhead.build.solve.reading import elsewhere
from pierhead.build.solve.report import Report
from pierhead.errors import PierError
from pierhead.oci import platform as platforms
from pierhead.oci.platform import Platform


@dataclass(slots=True)
class Planning:
    """For one build; ``plan`` once for each platform."""

    options: BuildOptions
    dockerfile: Dockerfile
    bases: Bases
    report: Report
    host: Platform
    planner: Planner | None = None
    """The first one, which the lint asks for what bases bring."""

    def base_env(self, stage: Stage) -> Mapping[str, str] | None:
        """The variables that a stage's base brings, for the lint; ``None``: not known.

        Before any plan is made: of images that are here.
        """
        if self.planner is not None:
            return self.planner.base_env(stage)
        try:
            planner = Planner(self.dockerfile, self._request(None, several=False))
        except PierError:
            return None
        origin = planner.base_of(stage)
        config = self.bases.here(origin) if isinstance(origin, FromImage) else None
        return environment(config.config.env) if config is not None else None

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
        self.planner = self.planner or planner
        while needs := planner.missing():
            # The classic builder's steps, and so its pulls, come one after the other.
            batches = [[need] for need in needs] if self.options.classic else [needs]
            for batch in batches:
                if self.options.classic:
                    self._tell_from(planner, batch[0])
                await self._provide(planner, batch, platform or self.host)
        return await elsewhere(len(self.dockerfile.source.data), planner.finish)

    def _tell_from(self, planner: Planner, origin: Origin) -> None:
        """Classic: FROM is told before its pull."""
        index = planner.asked_by(origin)
        if index is None or index in self.bases.started:
            return
        numbers = Numbers(self.dockerfile, planner.needed(), len(self.options.labels))
        if not self.bases.started:
            self.tell_args(numbers)
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

    async def _provide(self, planner: Planner, needs: Sequence[Origin], platform: Platform) -> None:
        origins = [need for need in needs if isinstance(need, FromImage | FromContext)]
        running = [
            tasks.spawn(tasks.outcome(self.bases.base(origin, platform)), name="base")
            for origin in origins
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
                source=self.dockerfile.source.data,
            )
        )

    def tell_args(self, numbers: Numbers) -> None:
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
