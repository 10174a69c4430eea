"""Reading a build's Dockerfile: loaded, parsed with what it includes, checked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from pierhead.build.dockerfile import checks, parse
from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.ignore import Rules
from pierhead.build.dockerfile.model import Dockerfile, Stage
from pierhead.build.model import BuildOptions, Wanted, Warned
from pierhead.build.plan import args, urls
from pierhead.build.solve import definition
from pierhead.build.solve.report import Report
from pierhead.build.solve.sources import Sources
from pierhead.errors import InvalidParameter
from pierhead.oci.platform import Platform

LARGE_BYTES: Final = 32 << 10
"""Dockerfiles from this size on are worked on in a thread: it takes tens of milliseconds."""

T = TypeVar("T")

BaseEnv = Callable[[Stage], Mapping[str, str] | None]


async def elsewhere(size_bytes: int, work: Callable[[], T]) -> T:
    """``work``, in a thread if there is much to do."""
    return work() if size_bytes < LARGE_BYTES else await asyncio.to_thread(work)


@dataclass(slots=True)
class Reading:
    """``read`` first; then ``definition`` and ``dockerfile`` are there."""

    options: BuildOptions
    sources: Sources
    report: Report
    host: Platform
    platform: Platform
    """The one that is built for (the first of several)."""
    definition: definition.Definition = field(init=False)
    dockerfile: Dockerfile = field(init=False)

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
                self.dockerfile = await elsewhere(
                    len(self.definition.data),
                    lambda: parse(
                        self.definition.data,
                        name=self.definition.name,
                        include=lambda path: _included(path, includes),
                    ),
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
        record = self.report.record
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

    async def check(
        self, base_env: BaseEnv | None = None, *, all_stages: bool | None = None
    ) -> list[Warned]:
        """Lint; the findings go out as warnings. ``BuildError`` if they are to be errors.

        ``base_env`` tells a stage's base's variables as far as it was resolved; for
        ``all_stages`` see ``checks.run``.
        """
        dockerfile = self.dockerfile
        findings = await elsewhere(
            len(self.definition.data),
            lambda: checks.run(
                dockerfile,
                build_args=self.options.build_args,
                target=self.options.target,
                platform_args=args.platform_args(self.host, self.platform, self.options.target, {}),
                base_env=base_env,
                ignore=Rules(self.definition.ignore) if self.definition.ignore else None,
                all_stages=all_stages,
            ),
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


class _Include(Exception):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def _included(path: str, known: Mapping[str, bytes]) -> bytes:
    if path not in known:
        raise _Include(path)
    return known[path]
