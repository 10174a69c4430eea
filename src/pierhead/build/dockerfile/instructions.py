"""Nodes to instructions: arguments counted, flags checked. No IO.

Every fault is a ``ValueError`` with BuildKit's words; ``parser`` adds the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pierhead.build.dockerfile import heredoc, mounts
from pierhead.build.dockerfile.errors import with_suggestion
from pierhead.build.dockerfile.flags import Flags, Kind
from pierhead.build.dockerfile.gotext import duration_ns, quote, trim
from pierhead.build.dockerfile.lines import KEYWORDS, Node
from pierhead.build.dockerfile.model import (
    Add,
    Arg,
    ArgPair,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Heredoc,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Pair,
    Range,
    Run,
    Shell,
    Stage,
    StopSignal,
    User,
    Volume,
    Workdir,
)

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*\Z")
_ONBUILD = re.compile(r"\s*ONBUILD\s*", re.IGNORECASE)
_NETWORKS = frozenset({"default", "none", "host"})
_SECURITIES = frozenset({"insecure", "sandbox"})
_MILLISECOND_NS = 1_000_000
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_MAX_INT32 = (1 << 31) - 1


class UnknownInstruction(ValueError):
    pass


def instruction_of(node: Node, file: str = "") -> Instruction:
    """``ValueError``. FROM is none: ``stage_of``."""
    handler = _HANDLERS.get(node.name)
    if handler is None:
        message = f"unknown instruction: {node.keyword}"
        raise UnknownInstruction(
            with_suggestion(message, node.keyword, KEYWORDS, case_sensitive=False)
        )
    common = {
        "original": trim(node.original),
        "location": Range(node.first, node.last, file),
        "comments": tuple(node.comments),
        "keyword": node.keyword,
    }
    return handler(node, common)


def stage_of(node: Node, file: str = "") -> Stage:
    """A stage without instructions, from its FROM. ``ValueError``."""
    args = node.args
    name = written = ""
    if len(args) == 3 and args[1].lower() == "as":
        written = args[2]
        name = written.lower()
        if not _STAGE_NAME.match(name):
            raise ValueError(
                f"invalid name for build stage: {quote(written)}, name can't start with a number"
                " or contain symbols"
            )
    elif len(args) != 1:
        raise ValueError("FROM requires either one or three arguments")
    flags = Flags(node.flags, {"platform": Kind.TEXT})
    return Stage(
        base=args[0],
        platform=flags.text("platform"),
        name=name,
        location=Range(node.first, node.last, file),
        original=trim(node.original),
        keyword=node.keyword,
        as_keyword=args[1] if len(args) == 3 else "",
        written_name=written,
        comments=tuple(node.comments),
        description=description_of(node.comments, name),
    )


def description_of(comments: list[str], name: str) -> str:
    """What a comment ``# name says this`` says; "" if there is none."""
    if name:
        for comment in comments:
            if comment.startswith(name + " "):
                return comment[len(name) + 1 :]
    return ""


def _pairs(node: Node) -> tuple[Pair, ...]:
    Flags(node.flags, {})
    if not node.args:
        raise ValueError(f"{node.name} requires at least one argument")
    found = []
    for at in range(0, len(node.args), 3):
        key, value, delimiter = node.args[at : at + 3]
        if not key:
            raise ValueError(f"{node.name} names can not be blank")
        found.append(Pair(key=key, value=value, legacy=not delimiter))
    return tuple(found)


def _env(node: Node, common: dict[str, Any]) -> Instruction:
    return Env(pairs=_pairs(node), **common)


def _label(node: Node, common: dict[str, Any]) -> Instruction:
    return Label(pairs=_pairs(node), **common)


def _one(node: Node) -> str:
    if len(node.args) != 1:
        raise ValueError(f"{node.name} requires exactly one argument")
    return node.args[0]


def _maintainer(node: Node, common: dict[str, Any]) -> Instruction:
    maintainer = _one(node)
    Flags(node.flags, {})
    return Maintainer(maintainer=maintainer, **common)


def _user(node: Node, common: dict[str, Any]) -> Instruction:
    user = _one(node)
    Flags(node.flags, {})
    return User(user=user, **common)


def _workdir(node: Node, common: dict[str, Any]) -> Instruction:
    path = _one(node)
    Flags(node.flags, {})
    return Workdir(path=path, **common)


def _stopsignal(node: Node, common: dict[str, Any]) -> Instruction:
    return StopSignal(signal=_one(node), **common)


def _files(node: Node) -> dict[str, Any]:
    """Sources, inline files and destination of COPY and ADD."""
    *sources, destination = node.args
    if heredoc.opens(destination):
        raise ValueError(f"{node.name} cannot accept a heredoc as a destination")
    contents = {item.name: item for item in node.heredocs}
    paths: list[str] = []
    inline: list[Heredoc] = []
    for source in sources:
        opened = heredoc.opens(source)
        if opened is None:
            paths.append(source)
            continue
        known = contents.get(opened.name)
        inline.append(
            Heredoc(
                name=opened.name,
                content=known.content if known else "",
                expand=opened.expand,
                chomp=opened.chomp,
            )
        )
    return {"sources": tuple(paths), "inline": tuple(inline), "destination": destination}


def _needs_destination(node: Node) -> None:
    if len(node.args) < 2:
        raise ValueError(
            f"{node.name} requires at least two arguments, but only one was provided."
            " Destination could not be determined"
        )


_FILE_FLAGS = {
    "chown": Kind.TEXT,
    "chmod": Kind.TEXT,
    "link": Kind.BOOL,
    "exclude": Kind.LIST,
}


def _file_flags(flags: Flags) -> dict[str, Any]:
    return {
        "chown": flags.text("chown"),
        "chmod": flags.text("chmod"),
        "link": flags.is_true("link"),
        "exclude": flags.all("exclude"),
    }


def _copy(node: Node, common: dict[str, Any]) -> Instruction:
    _needs_destination(node)
    flags = Flags(node.flags, _FILE_FLAGS | {"from": Kind.TEXT, "parents": Kind.BOOL})
    return Copy(
        source=flags.text("from"),
        parents=flags.is_true("parents"),
        **_file_flags(flags),
        **_files(node),
        **common,
    )


def _add(node: Node, common: dict[str, Any]) -> Instruction:
    _needs_destination(node)
    flags = Flags(
        node.flags,
        _FILE_FLAGS | {"keep-git-dir": Kind.BOOL, "checksum": Kind.TEXT, "unpack": Kind.BOOL},
    )
    return Add(
        keep_git_dir=flags.given("keep-git-dir"),
        checksum=flags.text("checksum"),
        unpack=flags.given("unpack"),
        **_file_flags(flags),
        **_files(node),
        **common,
    )


def _command(node: Node) -> dict[str, Any]:
    cmd = tuple(node.args) if node.is_json else " ".join(node.args)
    return {"cmd": cmd, "heredocs": tuple(node.heredocs)}


def _run(node: Node, common: dict[str, Any]) -> Instruction:
    flags = Flags(
        node.flags,
        {
            "mount": Kind.LIST,
            "network": Kind.TEXT,
            "security": Kind.TEXT,
            "device": Kind.LIST,
        },
    )
    for flag in flags.all("mount"):
        mounts.parse(flag)  # what can be known before variables are
    network = flags.text("network", "default")
    if network not in _NETWORKS:
        raise ValueError(f"invalid network mode {quote(network)}")
    security = flags.text("security", "sandbox")
    if security not in _SECURITIES:
        raise ValueError(f"security {quote(security)} is not valid")
    for flag in flags.all("device"):
        mounts.parse_device(flag)
    return Run(
        mounts=flags.all("mount"),
        network=network,
        security=security,
        devices=flags.all("device"),
        **_command(node),
        **common,
    )


def _cmd(node: Node, common: dict[str, Any]) -> Instruction:
    Flags(node.flags, {})
    return Cmd(**_command(node), **common)


def _entrypoint(node: Node, common: dict[str, Any]) -> Instruction:
    Flags(node.flags, {})
    return Entrypoint(**_command(node), **common)


def _shell(node: Node, common: dict[str, Any]) -> Instruction:
    Flags(node.flags, {})
    if not node.args:
        raise ValueError("SHELL requires at least one argument")
    if not node.is_json:
        raise ValueError("SHELL requires the arguments to be in JSON form")
    return Shell(shell=tuple(node.args), **common)


def _expose(node: Node, common: dict[str, Any]) -> Instruction:
    if not node.args:
        raise ValueError("EXPOSE requires at least one argument")
    Flags(node.flags, {})
    return Expose(ports=tuple(sorted(node.args)), **common)


def _volume(node: Node, common: dict[str, Any]) -> Instruction:
    if not node.args:
        raise ValueError("VOLUME requires at least one argument")
    Flags(node.flags, {})
    paths = tuple(trim(path) for path in node.args)
    if not all(paths):
        raise ValueError("VOLUME specified can not be an empty string")
    return Volume(paths=paths, **common)


def _arg(node: Node, common: dict[str, Any]) -> Instruction:
    if not node.args:
        raise ValueError("ARG requires at least one argument")
    pairs = []
    for word in node.args:
        key, equals, value = word.partition("=")
        if equals and not key:
            raise ValueError("ARG names can not be blank")
        pairs.append(
            ArgPair(
                key=key,
                value=value if equals else None,
                description=description_of(node.comments, key),
            )
        )
    return Arg(pairs=tuple(pairs), **common)


def _onbuild(node: Node, common: dict[str, Any]) -> Instruction:
    if not node.args:
        raise ValueError("ONBUILD requires at least one argument")
    Flags(node.flags, {})
    trigger = trim(node.args[0]).upper()
    if trigger == "ONBUILD":
        raise ValueError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("MAINTAINER", "FROM"):
        raise ValueError(f"{trigger} isn't allowed as an ONBUILD trigger")
    text = _ONBUILD.sub("", node.original, count=1)
    parts = [text]
    parts += [f"\n{item.content}{item.name}" for item in node.heredocs]
    return OnBuild(trigger="".join(parts), **common)


def _healthcheck(node: Node, common: dict[str, Any]) -> Instruction:
    if not node.args:
        raise ValueError("HEALTHCHECK requires at least one argument")
    kind, *args = node.args
    kind = kind.upper()
    if kind == "NONE":
        if args:
            raise ValueError("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(test=("NONE",), **common)
    names = ("interval", "timeout", "start-period", "start-interval", "retries")
    flags = Flags(node.flags, dict.fromkeys(names, Kind.TEXT))
    if kind != "CMD":
        raise ValueError(f"Unknown type {quote(kind)} in HEALTHCHECK (try CMD)")
    if not args:
        raise ValueError("Missing command after HEALTHCHECK CMD")
    test = ("CMD", *args) if node.is_json else ("CMD-SHELL", " ".join(args))
    return Healthcheck(
        test=test,
        interval_ns=_interval(flags, "interval"),
        timeout_ns=_interval(flags, "timeout"),
        start_period_ns=_interval(flags, "start-period"),
        start_interval_ns=_interval(flags, "start-interval"),
        retries=_retries(flags.text("retries")),
        **common,
    )


def _interval(flags: Flags, name: str) -> int:
    text = flags.text(name)
    value = duration_ns(text) if text else 0
    if value and value < _MILLISECOND_NS:
        raise ValueError(f"Interval {quote(name)} cannot be less than 1ms")
    return value


def _retries(text: str) -> int:
    if not text:
        return 0
    if not _INTEGER.match(text):
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    if len(text) > 20 or not -_MAX_INT32 - 1 <= int(text) <= _MAX_INT32:
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    if int(text) < 0:
        raise ValueError(f"--retries cannot be negative ({int(text)})")
    return int(text)


_HANDLERS: dict[str, Callable[[Node, dict[str, Any]], Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
