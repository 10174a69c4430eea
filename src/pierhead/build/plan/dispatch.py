"""One instruction of a stage to one ``Step``: expanded, checked, named. Pure."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pierhead.build.dockerfile import expand, mounts, words
from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.model import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Files,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    SourceText,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from pierhead.build.execute.model import MountKind, StepFile
from pierhead.build.files.model import CopyRequest, Inline
from pierhead.build.model import NetworkMode
from pierhead.build.plan import args, readable, texts, urls
from pierhead.build.plan.config import ConfigState, lookup
from pierhead.build.plan.model import (
    CopyOp,
    CopyPart,
    FromContext,
    FromImage,
    FromStage,
    FromUrl,
    MountPlan,
    Origin,
    RunOp,
    Step,
    WorkdirOp,
)
from pierhead.errors import InvalidParameter, PierError
from pierhead.oci.platform import Platform

_ONLY_HEREDOC: Final = re.compile(r"\d*<<-?[^<\s]+")
_PIPES: Final = "/dev/pipes"


@dataclass(slots=True, kw_only=True)
class Scope:
    """What instructions of one stage are read with."""

    state: ConfigState
    platform: Platform
    source: SourceText
    escape: str
    build_args: Mapping[str, str]
    global_args: Mapping[str, str]
    origin: Callable[[str, str], Origin]
    """What a name means in ``--from`` of a COPY or RUN (the second argument)."""
    stage_name: str = ""
    show_platform: bool = False
    total: int = 0
    epoch_s: int | None = None
    classic: bool = False
    network: NetworkMode = NetworkMode.DEFAULT
    count: int = 0
    used_args: set[str] = field(default_factory=set)

    def name(self, text: str, *, trigger: bool = False, link: bool = False) -> str:
        """``[build 2/5] RUN make``: counts one on."""
        self.count += 1
        return self._prefix() + ("ONBUILD " if trigger else "") + text

    def _prefix(self) -> str:
        if not self.total:
            return ""
        parts = []
        if self.show_platform:
            parts.append(str(self.platform) + _cross(self.platform, self.state.env))
        if self.stage_name:
            parts.append(self.stage_name)
        width = int(1 + math.log10(self.total))
        parts.append(f"{self.count:{width}d}/{self.total}")
        return f"[{' '.join(parts)}] "


def _cross(base: Platform, env: Mapping[str, str]) -> str:
    """``->arm64`` where a stage runs on one platform for another."""
    target = env.get("TARGETPLATFORM", "")
    if not target or target == str(base):
        return ""
    os, _, rest = target.partition("/")
    return f"->{rest}" if os == base.os else f"->{target}"


def makes_layer(item: Instruction) -> bool:
    """Whether an instruction counts in ``2/5``."""
    return isinstance(item, Run | Files | Workdir)


def dispatch(item: Instruction, scope: Scope, *, trigger: bool = False) -> Step:
    """The step of one instruction; the scope's config goes on. ``BuildError`` with its place."""
    try:
        return _Dispatch(item, scope, trigger).step()
    except BuildError as error:
        if error.location is not None and error.source is not None and not trigger:
            raise
        raise BuildError(error.message, item.location, scope.source) from error
    except (words.WordError, mounts.MountError) as error:
        raise BuildError(str(error), item.location, scope.source) from error
    except PierError as error:
        raise BuildError(error.message, item.location, scope.source) from error


class _Dispatch:
    def __init__(self, item: Instruction, scope: Scope, trigger: bool) -> None:
        self._scope = scope
        self._state = scope.state
        self._trigger = trigger
        self._written = item
        if not isinstance(item, Arg):
            item = expand.instruction(item, self._state.env, escape=scope.escape)
        # Paths may be any bytes; all the rest ends up in JSON.
        self._item = item if isinstance(item, Files) else readable.instruction(item)

    def step(self) -> Step:
        item = self._item
        if isinstance(item, Run):
            return self._run(item)
        if isinstance(item, Copy | Add):
            return self._copy(item)
        if isinstance(item, Workdir):
            return self._workdir(item)
        return self._config_only(self._change(item))

    def _change(self, item: Instruction) -> str:
        state = self._state
        match item:
            case Env():
                return state.set_env(item)
            case Label():
                return state.set_labels([(pair.key, pair.value) for pair in item.pairs])
            case Cmd():
                return state.set_cmd(item)
            case Entrypoint():
                return state.set_entrypoint(item)
            case Healthcheck():
                return state.set_healthcheck(item)
            case User():
                return state.set_user(item)
            case Volume():
                return state.set_volumes(item)
            case StopSignal():
                return state.set_stop_signal(item)
            case Shell():
                return state.set_shell(item)
            case OnBuild():
                return state.set_on_build(item)
            case Maintainer():
                return state.set_maintainer(item)
            case Expose():
                return state.expose(item)
            case Arg():
                return self._arg(item)
        raise BuildError(f"unsupported command type: {item.name}")

    def _arg(self, item: Arg) -> str:
        scope, state = self._scope, self._state
        shown = []
        for pair in item.pairs:
            value = pair.value
            scope.used_args.add(pair.key)
            if value is not None and (pair.key not in scope.build_args or scope.classic):
                value = words.expand(value, state.env, escape=scope.escape)
            text = value
            if pair.key in scope.build_args:
                value = scope.build_args[pair.key]
            elif value is None:
                value = scope.global_args.get(pair.key)
            state.declare(pair.key, value, visible=pair.key not in args.NOT_IN_ENV)
            if not scope.classic:
                text = value
            shown.append(pair.key if text is None else f"{pair.key}={text}")
        return f"ARG {' '.join(shown)}"

    # Steps

    def _config_only(self, text: str) -> Step:
        is_on_build = isinstance(self._item, OnBuild)
        history = "" if is_on_build and not self._scope.classic else text
        if self._scope.classic:
            history = texts.nop(text, self._state.run.shell)
        return self._step(None, "", history, empty=True, text=text)

    def _step(
        self, op: RunOp | CopyOp | WorkdirOp | None, name: str, history: str, *, empty: bool,
        text: str,
    ) -> Step:  # fmt: skip
        return Step(
            op=op,
            name=readable.text(name),
            instruction=readable.text(self._written.original),
            location=self._written.location,
            created_by=readable.text(history),
            empty_layer=empty,
            config=self._state.snapshot() if self._scope.classic else self._state.run,
            author=self._state.author,
            text=readable.text(text),
            is_trigger=self._trigger,
        )

    def _shown(self, *, raw: bool = False, hidden: Sequence[str] = ()) -> str:
        """The instruction as progress shows it: variables filled in, keyword in capitals."""
        text = self._written.original
        try:
            text = words.lex(
                text,
                lookup(self._state.env, hidden),
                escape=self._scope.escape,
                raw_quotes=raw,
                keep_unset=raw,
            ).text
        except words.WordError:
            pass
        keyword, blank, rest = text.partition(" ")
        return keyword.upper() + blank + rest

    def _workdir(self, item: Workdir) -> Step:
        history_path = self._state.set_working_dir(item.path)
        path = "/" + posixpath.normpath(history_path).lstrip("/")
        text = self._shown()
        history = f"WORKDIR {history_path}"
        if self._scope.classic:
            history = texts.nop(history, self._state.run.shell, single=True)
        name = self._scope.name(text, trigger=self._trigger)
        if path == "/":
            return self._step(None, "", history, empty=True, text=text)
        user = "" if self._scope.classic else self._state.run.user
        op = WorkdirOp(path=path, user=user, epoch_s=self._scope.epoch_s)
        return self._step(op, name, history, empty=False, text=text)

    # RUN

    def _run(self, item: Run) -> Step:
        state, scope = self._state, self._scope
        command, files, suffix = self._command(item)
        plans, hidden = self._mounts(item)
        env = dict(state.env)
        op = RunOp(
            args=command,
            env=[f"{key}={value}" for key, value in env.items()],
            proxies=[
                each for each in args.proxies(scope.build_args) if each.partition("=")[0] not in env
            ],
            user=state.run.user,
            working_dir=state.working_dir,
            mounts=plans,
            files=files,
            network=_network(item.network, scope.network),
            insecure=item.security == "insecure",
            devices=[mounts.parse_device(device) for device in item.devices],
        )
        shown = self._shown(raw=True, hidden=hidden)
        name = scope.name(f"{shown}{suffix}", trigger=self._trigger)
        history = texts.run(
            command, state.declared(), classic=scope.classic, proxies=bool(op.proxies)
        )
        return self._step(op, name, history, empty=False, text=shown)

    def _command(self, item: Run) -> tuple[list[str], list[StepFile], str]:
        """Arguments, files that are there only for it, and how a heredoc is shown."""
        if not isinstance(item.cmd, str):
            return list(item.cmd), [], ""
        shell = list(self._state.shell)
        if not item.heredocs:
            return [*shell, item.cmd], [], ""
        if len(item.heredocs) == 1 and _ONLY_HEREDOC.fullmatch(item.cmd.strip()):
            heredoc = item.heredocs[0]
            shown = f" ({_summary(heredoc.content)})"
            if heredoc.text.startswith("#!"):
                path = posixpath.join(_PIPES, heredoc.name)
                file = StepFile(path=path, data=_bytes(heredoc.text), mode=0o755)
                return [path], [file], shown
            return [*shell, heredoc.text], [], shown
        text = item.cmd + "".join(f"\n{each.content}{each.name}" for each in item.heredocs)
        return [*shell, text], [], ""

    def _mounts(self, item: Run) -> tuple[list[MountPlan], list[str]]:
        plans, hidden = [], []
        for flag in item.mounts:
            spec = mounts.parse(flag, self._state.env, escape=self._scope.escape)
            if spec.kind is MountKind.SECRET and spec.env:
                hidden.append(spec.env)
            plans.append(self._mount(spec))
        return plans, hidden

    def _mount(self, spec: mounts.MountSpec) -> MountPlan:
        target = posixpath.join(self._state.working_dir, spec.target) if spec.target else ""
        target = posixpath.normpath(target) if target else ""
        if target == "/":
            raise InvalidParameter(f'invalid mount target "{target}"')
        origin: Origin | None = None
        if spec.origin:
            origin = self._scope.origin(spec.origin, "RUN")
        elif spec.kind is MountKind.BIND:
            origin = FromContext()
        return MountPlan(spec=spec, target=target, origin=origin)

    # COPY and ADD

    def _copy(self, item: Copy | Add) -> Step:
        self._check_copy(item)
        scope, state = self._scope, self._state
        is_add = isinstance(item, Add)
        origin = (
            scope.origin(item.source, "COPY") if isinstance(item, Copy) and item.source else None
        )
        request = CopyRequest(
            destination=state.absolute(item.destination),
            unpack=is_add,
            chown=item.chown,
            chmod=item.chmod,
            link=item.link,
            parents=isinstance(item, Copy) and item.parents,
            exclude=item.exclude,
            keep_owner=isinstance(origin, FromStage | FromImage),
            epoch_s=scope.epoch_s,
            location=scope.source.label(item.location),
            classic=scope.classic,
        )
        op = CopyOp(
            parts=self._parts(item, request, origin),
            request=request,
            is_add=is_add,
            written=item.destination,
        )
        shown = self._shown()
        name = scope.name(shown, trigger=self._trigger)
        history = self._copy_history(item)
        return self._step(op, name, history, empty=False, text=shown)

    def _parts(
        self, item: Copy | Add, request: CopyRequest, origin: Origin | None
    ) -> list[CopyPart]:
        """Sources that follow each other in one place together, each URL for itself."""
        parts: list[CopyPart] = []
        local: list[str] = []

        def flush() -> None:
            if local:
                unpack = request.unpack and getattr(item, "unpack", None) is not False
                parts.append(
                    CopyPart(
                        origin=origin or FromContext(),
                        request=replace(request, sources=tuple(local), unpack=unpack),
                    )
                )
                local.clear()

        for source in item.sources:
            if isinstance(item, Add) and (urls.is_git(source) or urls.is_http(source)):
                flush()
                parts.append(self._download(item, source, request))
            else:
                local.append(source)
        flush()
        if item.inline:
            inline = tuple(Inline(name=each.name, data=_bytes(each.text)) for each in item.inline)
            names = tuple(each.name for each in inline)
            parts.append(
                CopyPart(
                    origin=None,
                    request=replace(request, sources=names, inline=inline, unpack=False),
                )
            )
        return parts

    def _download(self, item: Add, source: str, request: CopyRequest) -> CopyPart:
        if urls.is_git(source):
            origin = FromUrl(
                source,
                is_git=True,
                checksum=item.checksum,
                keep_git_dir=bool(item.keep_git_dir),
            )
            return CopyPart(origin=origin, request=replace(request, sources=("/",), unpack=False))
        unpack = bool(item.unpack)
        return CopyPart(
            origin=FromUrl(source, checksum=item.checksum),
            request=replace(request, sources=(source,), unpack=unpack),
        )

    def _check_copy(self, item: Copy | Add) -> None:
        if isinstance(item, Copy):
            for source in item.sources:
                if "://" in source and urls.is_git(source):
                    raise InvalidParameter("source can't be a git ref for COPY")
                if urls.is_http(source):
                    raise InvalidParameter("source can't be a URL for COPY")
        elif item.checksum:
            if len(item.sources) != 1 or item.inline:
                raise InvalidParameter("checksum can't be specified for multiple sources")
            if not (urls.is_http(item.sources[0]) or urls.is_git(item.sources[0])):
                raise InvalidParameter("checksum requires HTTP(S) or Git sources")

    def _copy_history(self, item: Copy | Add) -> str:
        if self._scope.classic:
            chown = f"--chown={item.chown} " if item.chown else ""
            text = f"{item.name} {chown}{{files}} in {item.destination} "
            return texts.nop(text, self._state.run.shell, single=True)
        parts = [item.name]
        if isinstance(item, Copy) and item.parents:
            parts.append("--parents")
        if item.chown:
            parts.append(f"--chown={item.chown}")
        if item.chmod:
            parts.append(f"--chmod={item.chmod}")
        parts += item.sources
        parts += [f"<<{each.name}" for each in item.inline]
        parts.append(item.destination)
        return f"{' '.join(parts)} # buildkit"


def _network(flag: str, default: NetworkMode) -> NetworkMode:
    return default if flag in ("", "default") else NetworkMode(flag)


def _summary(content: str) -> str:
    lines = content.strip().replace("\r\n", "\n").split("\n")
    return lines[0] + ("..." if len(lines) > 1 else "")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
