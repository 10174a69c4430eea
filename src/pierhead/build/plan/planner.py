"""From a parsed Dockerfile to the plan for one platform. Pure: who uses it fetches.

::

    planner = Planner(dockerfile, request)
    while needs := planner.missing():          # bases whose config must be known
        for need in needs:
            planner.provide(need, base)        # may bring ONBUILD triggers, so ask again
    plan = planner.finish()

Only stages that the target needs are looked at: its base, what it copies from or mounts,
and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pierhead.build.dockerfile import mounts, words
from pierhead.build.dockerfile.errors import BuildError, with_suggestion
from pierhead.build.dockerfile.model import (
    Copy,
    Dockerfile,
    Instruction,
    OnBuild,
    Range,
    Run,
    Stage,
)
from pierhead.build.dockerfile.parser import parse_instruction
from pierhead.build.model import NetworkMode
from pierhead.build.plan import args, labels, paths, texts
from pierhead.build.plan.config import ConfigState, environment
from pierhead.build.plan.dispatch import Scope, dispatch, makes_layer
from pierhead.build.plan.model import (
    FromContext,
    FromImage,
    FromNothing,
    FromStage,
    Origin,
    Plan,
    StagePlan,
)
from pierhead.errors import InvalidParameter, PierError
from pierhead.oci import platform as platforms
from pierhead.oci import reference
from pierhead.oci.digest import is_digest, is_hex
from pierhead.oci.image_config import History, ImageConfig, RootFs, RunConfig
from pierhead.oci.platform import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a plan depends on besides the Dockerfile."""

    build_platform: Platform
    platform: Platform | None = None
    """Asked for; ``None``: the machine's, or whatever the base is for."""
    show_platform: bool = False
    """Several were asked for: steps say which they are for."""
    target: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    named_contexts: frozenset[str] = frozenset()
    """Names as given; an image's name there has no ``:latest``."""
    no_cache: bool = False
    no_cache_stages: frozenset[str] = frozenset()
    network: NetworkMode = NetworkMode.DEFAULT
    epoch_s: int | None = None
    classic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a stage's base turned out to be."""

    config: ImageConfig | None
    """``None``: files without an image (a named context that is a directory)."""
    name: str
    """As FROM is shown: ``docker.io/library/busybox:latest``."""


@dataclass(slots=True)
class _Draft:
    """A stage on its way."""

    index: int
    stage: Stage
    base_text: str
    platform: Platform | None
    origin: Origin
    base: Base | None = None
    triggers: list[Instruction] = field(default_factory=list)
    triggered: bool = False
    state: ConfigState | None = None
    plan: StagePlan | None = None


class Planner:
    """See the module's docstring. Everything it raises is a ``BuildError`` with a place."""

    def __init__(self, dockerfile: Dockerfile, request: Request) -> None:
        self._dockerfile = dockerfile
        self._request = request
        self._platform = request.platform or request.build_platform
        if not dockerfile.stages:
            raise BuildError("dockerfile contains no stages to build")
        stage = request.target or dockerfile.stages[-1].name
        self._defaults = args.platform_args(
            request.build_platform, self._platform, stage, request.build_args
        )
        self.global_args = args.global_args(dockerfile, self._defaults, request.build_args)
        self._used: set[str] = {pair.key for arg in dockerfile.args for pair in arg.pairs}
        self.epoch_s = self._epoch()
        self._drafts = [self._draft(index) for index in range(len(dockerfile.stages))]
        self._target = self._find_target()

    def _epoch(self) -> int | None:
        text = self._request.build_args.get(
            "SOURCE_DATE_EPOCH", self.global_args.get("SOURCE_DATE_EPOCH", "")
        )
        if not text:
            return self._request.epoch_s
        try:
            return int(text)
        except ValueError as error:
            raise BuildError(f"invalid SOURCE_DATE_EPOCH: {text}") from error

    def _draft(self, index: int) -> _Draft:
        stage = self._dockerfile.stages[index]
        try:
            base = words.expand(stage.base, self.global_args, escape=self._dockerfile.escape)
            platform = self._stage_platform(stage)
        except words.WordError as error:
            raise self._error(str(error), stage.location) from error
        if not base:
            raise self._error(f"base name ({stage.base}) should not be blank", stage.location)
        if stage.name and stage.name in self._request.named_contexts:
            origin: Origin = FromContext(stage.name)
        else:
            origin = self._origin_of(base, index, platform, stage.location)
        return _Draft(index, stage, base, platform, origin)

    def _stage_platform(self, stage: Stage) -> Platform | None:
        if not stage.platform:
            return None
        unmatched: set[str] = set()
        text = words.expand(
            stage.platform, self.global_args, escape=self._dockerfile.escape, unmatched=unmatched
        )
        if not text:
            message = f"empty platform value from expression {stage.platform}"
            for name in sorted(unmatched):
                message = with_suggestion(message, name, self.global_args, case_sensitive=True)
            raise self._error(message, stage.location)
        try:
            return platforms.parse(text, self._request.build_platform.architecture)
        except PierError as error:
            raise self._error(
                f"failed to parse platform {stage.platform}: {error.message}", stage.location
            ) from error

    def _error(self, message: str, location: Range | None) -> BuildError:
        return BuildError(message, location, self._dockerfile.source)

    def _find_target(self) -> int:
        name = self._request.target
        if not name:
            return len(self._drafts) - 1
        found = self._dockerfile.stage_index(name)
        if found is not None:
            return found
        if self._request.classic:
            raise InvalidParameter(f"failed to reach build target {name} in Dockerfile")
        names = [stage.name for stage in self._dockerfile.stages if stage.name]
        raise BuildError(
            with_suggestion(
                f'target stage "{name}" could not be found', name, names, case_sensitive=False
            )
        )

    # Where things come from

    def _origin_of(
        self,
        name: str,
        before: int,
        platform: Platform | None,
        location: Range,
        *,
        numbers: bool = False,
        kind: str = "",
    ) -> Origin:
        """A stage before this one, a named context, nothing, or an image."""
        stages = self._dockerfile
        index = stages.stage_index(name, before, numbers=numbers)
        if index is not None:
            return FromStage(index)
        later = stages.stage_index(name, numbers=numbers) if kind else None
        if later == before:
            raise self._error(f'circular dependency detected on stage: "{name}"', location)
        if later is not None:
            here = stages.stages[before].name or f"stage-{before}"
            raise self._error(
                f'cannot copy from stage "{name}", it needs to be defined before current '
                f'stage "{here}"'
                if kind == "COPY"
                else f'cannot mount from stage "{name}", stage needs to be defined before '
                "current command",
                location,
            )
        if numbers and name.isascii() and name.isdigit():
            raise self._error(f"invalid stage index {name}", location)
        if name == "scratch":
            return FromNothing()
        if name in self._request.named_contexts:
            return FromContext(name)
        if is_digest(name) or (len(name) == 64 and is_hex(name)):
            return FromImage(name, platform or self._platform)  # an image id
        try:
            ref = reference.parse(name)
        except InvalidParameter as error:
            raise self._error(
                f'failed to parse stage name "{name}": {error.message}', location
            ) from error
        familiar = ref.with_default_tag().familiar.removesuffix(":latest")
        if familiar in self._request.named_contexts:
            return FromContext(familiar)
        return FromImage(name, platform or self._platform)

    def _instruction_origins(self, draft: _Draft) -> list[Origin]:
        found = []
        for item in [*draft.triggers, *draft.stage.instructions]:
            if isinstance(item, Copy) and item.source:
                found.append(self._named(item.source, draft, item, "COPY"))
            elif isinstance(item, Run):
                for flag in item.mounts:
                    try:
                        name = mounts.parse(flag).origin
                    except (mounts.MountError, words.WordError) as error:
                        raise self._error(str(error), item.location) from error
                    if name:
                        found.append(self._named(name, draft, item, "RUN"))
        return found

    def _named(self, name: str, draft: _Draft, item: Instruction, kind: str) -> Origin:
        if "$" in name:
            raise self._error(
                "variable expansion is not supported for --from, define a new stage with FROM "
                "using ARG from global scope as a workaround",
                item.location,
            )
        return self._origin_of(
            name, draft.index, None, item.location, kind=kind, numbers=kind == "COPY"
        )

    # What is needed

    def _reachable(self) -> list[_Draft]:
        seen: set[int] = set()
        wave = [self._target]
        while wave:
            index = wave.pop()
            if index in seen:
                continue
            seen.add(index)
            draft = self._drafts[index]
            origins = [draft.origin]
            if not (
                isinstance(draft.origin, FromContext) and draft.origin.name == draft.stage.name
            ):
                origins += self._instruction_origins(draft)
            wave += [origin.index for origin in origins if isinstance(origin, FromStage)]
        return [self._drafts[index] for index in sorted(seen)]

    def missing(self) -> list[Origin]:
        """Bases to be provided now; empty: ``finish``."""
        while True:
            drafts = self._reachable()
            needs = {
                draft.origin: None
                for draft in drafts
                if draft.base is None and isinstance(draft.origin, FromImage | FromContext)
            }
            if needs:
                return list(needs)
            if not any([self._trigger(draft) for draft in drafts if not draft.triggered]):
                return []

    def needed(self) -> list[int]:
        """Stages that the target needs, as far as it is known by now."""
        return [draft.index for draft in self._reachable()]

    def asked_by(self, origin: Origin) -> int | None:
        """The first needed stage that stands on this base."""
        for draft in self._reachable():
            if draft.origin == origin:
                return draft.index
        return None

    def base_env(self, stage: Stage) -> Mapping[str, str] | None:
        """The variables of the image that ``stage`` stands on; ``None`` if it isn't known."""
        for draft in self._drafts:
            if draft.stage is stage and draft.base is not None and draft.base.config is not None:
                return environment(draft.base.config.config.env)
        return None

    def base_of(self, stage: Stage) -> Origin | None:
        """What a stage stands on."""
        return next((draft.origin for draft in self._drafts if draft.stage is stage), None)

    def where(self, origin: Origin) -> Range | None:
        """The FROM line that asks for this base, for errors."""
        for draft in self._drafts:
            if draft.origin == origin:
                return draft.stage.location
        return None

    def provide(self, origin: Origin, base: Base) -> None:
        for draft in self._drafts:
            if draft.origin == origin:
                draft.base = base

    def _trigger(self, draft: _Draft) -> bool:
        """Bring the base's ONBUILD in front; true if that made new instructions."""
        draft.triggered = True
        triggers: list[str] = []
        if isinstance(draft.origin, FromStage):
            base = self._drafts[draft.origin.index]
            triggers = [
                item.trigger for item in base.stage.instructions if isinstance(item, OnBuild)
            ]
        elif draft.base is not None and draft.base.config is not None:
            triggers = list(draft.base.config.config.on_build or ())
        for text in triggers:
            try:
                item = parse_instruction(
                    text, escape=self._dockerfile.escape, location=draft.stage.location
                )
            except PierError as error:
                raise self._error(error.message, draft.stage.location) from error
            draft.triggers.append(item)
        return bool(triggers)

    # The plan

    def finish(self) -> Plan:
        """Dispatch every needed stage, in order."""
        drafts = self._reachable()
        stages = {}
        for draft in drafts:
            stages[draft.index] = self._dispatch(draft, alone=len(self._drafts) == 1)
        target = stages[self._target]
        if self._request.labels and not self._request.classic:
            run = target.config.config
            run.labels = {**(run.labels or {}), **self._request.labels}
        return Plan(
            platform=target.platform,
            implicit_platform=self._request.platform is None,
            stages=stages,
            target=self._target,
            epoch_s=self.epoch_s,
            context_paths=paths.needed(stages.values()),
            used_args=frozenset(self._used),
            labels=self._request.labels,
        )

    def _dispatch(self, draft: _Draft, *, alone: bool) -> StagePlan:
        request = self._request
        state, platform, base_name, inherited = self._begin(draft)
        items = [*draft.triggers, *draft.stage.instructions]
        name = draft.stage.name or ("" if alone else f"stage-{draft.index}")
        if isinstance(draft.origin, FromContext) and draft.origin.name == draft.stage.name:
            items = []  # a named context stands in for the whole stage
        # FROM counts as one of the stage's steps if it is an image.
        has_base = isinstance(draft.origin, FromImage | FromContext) and bool(items)
        scope = Scope(
            state=state,
            platform=platform,
            source=self._dockerfile.source,
            escape=self._dockerfile.escape,
            build_args=request.build_args,
            global_args=self.global_args,
            origin=lambda text, kind: self._origin_of(
                text, draft.index, None, draft.stage.location, kind=kind, numbers=kind == "COPY"
            ),
            stage_name=name,
            show_platform=request.show_platform,
            total=int(has_base) + sum(makes_layer(item) for item in items),
            epoch_s=self.epoch_s,
            classic=request.classic,
            network=request.network,
        )
        base_step = scope.name(f"FROM {base_name}") if has_base else ""
        if isinstance(draft.origin, FromImage) and not has_base:
            base_step = f"[{name}] FROM {base_name}" if name else f"FROM {base_name}"
        steps = [
            dispatch(item, scope, trigger=position < len(draft.triggers))
            for position, item in enumerate(items)
        ]
        if request.classic and draft.index == self._target:
            steps += labels.steps(request.labels, state, draft.stage.location)
        self._used |= scope.used_args
        draft.state = state
        config = state.image
        config.config = state.run
        config.history = [
            *config.history,
            *(
                History(
                    created_by=step.created_by,
                    comment="" if request.classic else texts.COMMENT,
                    author=step.author if request.classic else "",
                    empty_layer=step.empty_layer,
                )
                for step in steps
                if step.created_by
            ),
        ]
        draft.plan = StagePlan(
            index=draft.index,
            name=name,
            written_name=draft.stage.name,
            platform=platform,
            base=draft.origin,
            base_name=base_name,
            base_step=base_step,
            instruction=draft.stage.original,
            location=draft.stage.location,
            config=config,
            base_history=inherited,
            steps=steps,
            triggers=len(draft.triggers),
            ignore_cache=request.no_cache or draft.stage.name in request.no_cache_stages,
        )
        return draft.plan

    def _begin(self, draft: _Draft) -> tuple[ConfigState, Platform, str, int]:
        """The config that a stage starts with, its platform, its base's name and history."""
        classic = self._request.classic
        if isinstance(draft.origin, FromStage):
            base = self._drafts[draft.origin.index]
            assert base.plan is not None and base.state is not None  # stages stand in order
            state = ConfigState(base.plan.config, classic=classic)
            state.inherit(base.state)
            state.run.on_build = None
            return state, base.plan.platform, base.plan.name, len(base.plan.config.history)
        wanted = draft.platform or self._platform
        config = draft.base.config if draft.base is not None else None
        if config is None:
            return ConfigState(self._empty(wanted), classic=classic), wanted, draft.base_text, 0
        state = ConfigState(config, classic=classic)
        state.run.on_build = None
        state.image.created = ""
        if draft.platform is None and self._request.platform is None:
            # As BuildKit: without --platform the image is for what its base is for.
            found = platforms.normalise(
                config.os or wanted.os, config.architecture or wanted.architecture, config.variant
            )
            if not wanted.matches(found.os, found.architecture, found.variant):
                wanted = found
        name = draft.base.name if draft.base is not None else draft.base_text
        return state, wanted, name, len(config.history)

    def _empty(self, platform: Platform) -> ImageConfig:
        """``scratch``."""
        run = RunConfig() if self._request.classic else RunConfig(working_dir="/")
        return ImageConfig(
            architecture=platform.architecture,
            variant=platform.variant,
            os=platform.os,
            config=run,
            rootfs=RootFs(diff_ids=[]),
        )
