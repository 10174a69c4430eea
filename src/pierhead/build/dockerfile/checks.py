"""Build checks: BuildKit's lint rules on a parsed Dockerfile. No IO.

A finding can be switched off for the file (``# check=skip=A,B`` at the top) and for one
instruction (the same comment directly above it). Variables are followed through the stages as a
build would, without doing anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pierhead.build.dockerfile import expand, mounts, ports, words
from pierhead.build.dockerfile.errors import BuildError, suggest
from pierhead.build.dockerfile.findings import Finding, config_of, finding
from pierhead.build.dockerfile.ignore import Rules, clean
from pierhead.build.dockerfile.model import (
    Add,
    Arg,
    Cmd,
    Copy,
    Dockerfile,
    Entrypoint,
    Env,
    Expose,
    Files,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Range,
    Run,
    Shell,
    Stage,
    Workdir,
)
from pierhead.errors import InvalidParameter
from pierhead.oci import platform as platforms
from pierhead.oci import reference

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NO_VARIABLES = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})
"""ARGs that never become variables."""

_RESERVED = frozenset({"context", "scratch"})
_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)
_REMOTE = re.compile(r"(?:https?|git|ssh)://|git@|github\.com/")
_EVERYTHING = frozenset({"*", "**", "**/*"})


def run(
    dockerfile: Dockerfile,
    *,
    build_args: Mapping[str, str] | None = None,
    target: str = "",
    platform_args: Mapping[str, str],
    base_env: Callable[[Stage], Mapping[str, str] | None] | None = None,
    ignore: Rules | None = None,
    all_stages: bool | None = None,
) -> list[Finding]:
    """All findings, in the order of lines. ``BuildError`` for check options that make no sense.

    ``platform_args`` are BUILDPLATFORM, TARGETOS and so on; ``base_env`` tells the environment
    of a stage's base image where it is known (``None``: unknown, and no variable is called
    undefined there). ``all_stages`` is what ``--check`` wants: without a target, stages that
    nothing needs are looked at, too.
    """
    checker = _Checker(
        dockerfile,
        dict(build_args or {}),
        dict(platform_args),
        base_env,
        ignore,
    )
    checker.parsed()
    checker.names()
    checker.casing()
    checker.bases()
    everything = not target if all_stages is None else all_stages
    chosen = range(len(dockerfile.stages)) if everything else reachable(dockerfile, target)
    for index in sorted(chosen):
        checker.stage(index)
    found = checker.found
    unique = dict.fromkeys(found)
    return sorted(unique, key=lambda one: one.location or Range(0, 0))


def failure(
    dockerfile: Dockerfile,
    findings: list[Finding],
    *,
    build_args: Mapping[str, str] | None = None,
) -> str | None:
    """The error's text if ``error=true`` and there are findings, else ``None``."""
    if not findings or not config_of(dockerfile, build_args).error:
        return None
    rules = ", ".join(sorted({one.rule for one in findings}))
    return f"lint violation found for rules: {rules}"


def reachable(dockerfile: Dockerfile, target: str = "") -> set[int]:
    """Indexes of the stages that ``target`` (else the last one) needs, itself among them."""
    last = len(dockerfile.stages) - 1
    start = dockerfile.stage_index(target) if target else last
    todo = [last if start is None else start]
    seen: set[int] = set()
    while todo:
        index = todo.pop()
        if index in seen:
            continue
        seen.add(index)
        stage = dockerfile.stages[index]
        needed = [dockerfile.stage_index(stage.base, before=index)]
        for item in stage.instructions:
            if isinstance(item, Copy) and item.source:
                needed.append(dockerfile.stage_index(item.source, before=index, numbers=True))
            elif isinstance(item, Run):
                needed += [
                    dockerfile.stage_index(spec.origin, before=index)
                    for spec in map(mounts.parse, item.mounts)
                    if spec.origin
                ]
        todo += [one for one in needed if one is not None]
    return seen


@dataclass(slots=True)
class _State:
    """What a stage has come to."""

    env: dict[str, str] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)
    known: bool = True
    """Whether the base image's variables are known."""
    workdir_set: bool = False
    has_shell: bool = False


class _Checker:
    def __init__(
        self,
        dockerfile: Dockerfile,
        build_args: dict[str, str],
        platform_args: dict[str, str],
        base_env: Callable[[Stage], Mapping[str, str] | None] | None,
        ignore: Rules | None,
    ) -> None:
        self.dockerfile = dockerfile
        self.config = config_of(dockerfile, build_args)
        self.build_args = build_args
        self.platform_args = platform_args
        self.base_env = base_env
        self.ignore = ignore
        self.found: list[Finding] = []
        self.states: dict[int, _State] = {}
        self.global_args: dict[str, str] = {}

    def report(
        self, rule: str, location: Range, *particulars: str, comments: Iterable[str] = ()
    ) -> None:
        if self.config.with_comments(comments).wants(rule):
            self.found.append(finding(rule, location, *particulars))

    def parsed(self) -> None:
        """What single instructions show."""
        for warning in self.dockerfile.warnings:
            self.report(warning.rule, warning.location)
        for stage in self.dockerfile.stages:
            at, comments = stage.location, stage.comments
            if stage.written_name != stage.name:
                self.report("StageNameCasing", at, stage.written_name, comments=comments)
            if not _same_case(stage.keyword, stage.as_keyword):
                self.report("FromAsCasing", at, stage.keyword, stage.as_keyword, comments=comments)
            if stage.name:
                self._description("FROM", [stage.name], at, comments)
        for item in self._all():
            if isinstance(item, Maintainer):
                self.report("MaintainerDeprecated", item.location, comments=item.comments)
        for item in (*self.dockerfile.args, *self._all()):
            if isinstance(item, Arg):
                keys = [pair.key for pair in item.pairs]
                self._description("ARG", keys, item.location, item.comments)

    def _all(self) -> list[Instruction]:
        return [item for stage in self.dockerfile.stages for item in stage.instructions]

    def _description(
        self, name: str, keys: list[str], location: Range, comments: tuple[str, ...]
    ) -> None:
        if comments and comments[-1].split(" ")[0] not in keys:
            key = keys[0] if len(keys) == 1 else "<arg_key>"
            self.report("InvalidDefinitionDescription", location, name, key, comments=comments)

    def names(self) -> None:
        seen: set[str] = set()
        for stage in self.dockerfile.stages:
            if stage.name in _RESERVED:
                self.report("ReservedStageName", stage.location, stage.name)
            if stage.name and stage.name in seen:
                self.report("DuplicateStageName", stage.location, stage.name)
            seen.add(stage.name)

    def casing(self) -> None:
        keywords = [(stage.keyword, stage.location) for stage in self.dockerfile.stages]
        keywords += [(item.keyword, item.location) for item in self._all()]
        lower = sum(word == word.lower() for word, _ in keywords)
        upper = sum(word == word.upper() != word.lower() for word, _ in keywords)
        wanted = "lowercase" if lower > upper else "uppercase"
        for word, location in keywords:
            if word != (word.lower() if lower > upper else word.upper()):
                self.report("ConsistentInstructionCasing", location, word, wanted)

    def bases(self) -> None:
        """FROM: variables, platforms, and whether it is a name without any build arg."""
        defaults = self._global_args({})
        self.global_args = self._global_args(self.build_args) or dict(self.platform_args)
        declared = {pair.key for arg in self.dockerfile.args for pair in arg.pairs}
        options = sorted(declared | set(self.global_args))
        for stage in self.dockerfile.stages:
            if defaults is not None and not _is_reference(self._lex(stage.base, defaults)):
                self.report("InvalidDefaultArgInFrom", stage.location, stage.base)
        for stage in self.dockerfile.stages:
            for text in (stage.base, stage.platform):
                lexed = self._lex(text, self.global_args)
                for name in sorted(lexed.unmatched - set(options)) if lexed else ():
                    self.report(
                        "UndefinedArgInFrom",
                        stage.location,
                        name,
                        suggest(name, options),
                        comments=stage.comments,
                    )
            if stage.platform:
                self._platform(stage)

    def _platform(self, stage: Stage) -> None:
        lexed = self._lex(stage.platform, self.global_args)
        if lexed is None:
            return
        if lexed.matched == {"TARGETPLATFORM"} and not lexed.unmatched:
            if lexed.text == self.global_args.get("TARGETPLATFORM"):
                self.report(
                    "RedundantTargetPlatform",
                    stage.location,
                    stage.platform,
                    comments=stage.comments,
                )
        elif not lexed.matched and not lexed.unmatched:
            try:
                platform = platforms.parse(lexed.text, "amd64")
            except InvalidParameter:
                return
            if platform.os not in stage.name and platform.architecture not in stage.name:
                self.report(
                    "FromPlatformFlagConstDisallowed",
                    stage.location,
                    lexed.text,
                    comments=stage.comments,
                )

    def _lex(self, text: str, lookup: Mapping[str, str]) -> words.Lexed | None:
        try:
            return words.lex(text, lookup, escape=self.dockerfile.escape)
        except words.WordError:
            return None

    def _global_args(self, given: Mapping[str, str]) -> dict[str, str] | None:
        """ARGs before the first FROM; ``None`` if one can't be expanded."""
        known = dict(self.platform_args)
        for arg in self.dockerfile.args:
            try:
                pairs = expand.arg_pairs(
                    arg.pairs, known, given=given, escape=self.dockerfile.escape
                )
            except words.WordError:
                return None
            known |= {pair.key: pair.value for pair in pairs if pair.value is not None}
        return known

    def stage(self, index: int) -> None:
        stage = self.dockerfile.stages[index]
        state = self.states[index] = self._begin(stage, index)
        last: dict[type[Instruction], Range] = {}
        for item in stage.instructions:
            for kind in (Cmd, Entrypoint, Healthcheck):
                if isinstance(item, kind):
                    if kind in last:
                        # The earlier one is meant: it is the one that does nothing.
                        self.report(
                            "MultipleInstructionsDisallowed",
                            last[kind],
                            item.keyword,
                            comments=item.comments,
                        )
                    last[kind] = item.location
            self._instruction(item, state)

    def _begin(self, stage: Stage, index: int) -> _State:
        lexed = self._lex(stage.base, self.global_args)
        base = lexed.text if lexed else stage.base
        parent = self.dockerfile.stage_index(base, before=index)
        if parent is not None and parent in self.states:
            above = self.states[parent]
            return _State(
                dict(above.env),
                set(above.declared),
                above.known,
                above.workdir_set,
                above.has_shell,
            )
        state = _State({"PATH": DEFAULT_PATH})
        if base != "scratch":
            env = self.base_env(stage) if self.base_env else None
            state.known = env is not None
            state.env |= env or {}
        return state

    def _instruction(self, item: Instruction, state: _State) -> None:
        unmatched: set[str] = set()
        try:
            done = self._expanded(item, state, unmatched)
        except (BuildError, words.WordError, mounts.MountError):
            return  # the build will say so
        self._undefined(item, state, unmatched)

        def report(rule: str, *particulars: str) -> None:
            self.report(rule, item.location, *particulars, comments=item.comments)

        if isinstance(done, Env | Label):
            for pair in done.pairs:
                if pair.legacy:
                    report("LegacyKeyValueFormat", item.keyword)
        if isinstance(done, Env):
            for pair in done.pairs:
                if _is_secret(pair.key):
                    report("SecretsUsedInArgOrEnv", "ENV", pair.key)
                state.env[pair.key] = pair.value
        elif isinstance(done, Cmd | Entrypoint):
            if done.is_shell and not state.has_shell:
                report("JSONArgsRecommended", item.keyword)
        elif isinstance(done, Workdir):
            if not state.workdir_set and not done.path.startswith("/"):
                report("WorkdirRelativePath", done.path)
            state.workdir_set = True
        elif isinstance(done, Shell):
            state.has_shell = True
        elif isinstance(done, Expose):
            for port in done.ports:
                try:
                    parsed = ports.parse(port)
                except ValueError:
                    continue
                if parsed.odd_case:
                    report("ExposeProtoCasing", port)
                if parsed.maps:
                    report("ExposeInvalidFormat", port)
        elif isinstance(done, Files):
            self._files(done)
        elif isinstance(done, Arg):
            for arg in done.pairs:
                if _is_secret(arg.key):
                    report("SecretsUsedInArgOrEnv", "ARG", arg.key)

    def _expanded(self, item: Instruction, state: _State, unmatched: set[str]) -> Instruction:
        escape = self.dockerfile.escape
        if isinstance(item, Arg):
            self._argument(item, state, unmatched)
            return item
        if isinstance(item, Run):
            for flag in item.mounts:
                mounts.parse(flag, state.env, escape=escape, unmatched=unmatched)
            return item
        if isinstance(item, Expose):
            return expand.instruction(item, state.env, escape=escape)
        return expand.instruction(item, state.env, escape=escape, unmatched=unmatched)

    def _argument(self, item: Arg, state: _State, unmatched: set[str]) -> None:
        for pair in item.pairs:
            value = self.build_args.get(pair.key)
            if value is None and pair.value is not None:
                lexed = words.lex(pair.value, state.env, escape=self.dockerfile.escape)
                unmatched |= lexed.unmatched - state.declared
                value = lexed.text
            elif value is None:
                value = self.global_args.get(pair.key)
            if value is not None and pair.key not in NO_VARIABLES:
                state.env[pair.key] = value
            state.declared.add(pair.key)

    def _undefined(self, item: Instruction, state: _State, unmatched: set[str]) -> None:
        if not state.known:
            return
        for name in sorted(unmatched - state.declared - NO_VARIABLES):
            self.report(
                "UndefinedVar",
                item.location,
                name,
                suggest(name, state.env),
                comments=item.comments,
            )

    def _files(self, item: Files) -> None:
        """COPY and ADD of what .dockerignore leaves out; with "!" rules nobody can tell."""
        if self.ignore is None or self.ignore.compiled.has_exclusions:
            return
        if isinstance(item, Copy) and item.source:
            return
        for source in item.sources:
            if isinstance(item, Add) and _REMOTE.match(source):
                continue
            path = clean(source)
            if path in (".", "/") and not _EVERYTHING.intersection(
                pattern.text for pattern in self.ignore.compiled.compiled
            ):
                continue
            if self.ignore.compiled.matches(path):
                name = "Add" if isinstance(item, Add) else "Copy"
                self.report("CopyIgnoredFile", item.location, name, path, comments=item.comments)


def _same_case(keyword: str, as_keyword: str) -> bool:
    """FROM and AS; mixed letters in FROM are another rule's business."""
    if not as_keyword or keyword not in (keyword.lower(), keyword.upper()):
        return True
    wanted = as_keyword.lower() if keyword == keyword.lower() else as_keyword.upper()
    return as_keyword == wanted


def _is_reference(lexed: words.Lexed | None) -> bool:
    if lexed is None:
        return True
    try:
        reference.parse(lexed.text)
    except InvalidParameter:
        return False
    return True


def _is_secret(key: str) -> bool:
    return bool(_SECRET.search(key)) and not _NO_SECRET.search(key)
