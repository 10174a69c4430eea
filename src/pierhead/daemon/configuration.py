"""Flags and daemon.json together: merged, checked, every fault reported at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pierhead.daemon import values
from pierhead.daemon.options import (
    BY_FLAG,
    BY_KEY,
    BY_SHORT,
    DEFAULT_CONFIG_FILE,
    DEFAULT_HOST,
    OPTIONS,
    Option,
)


class ConfigurationError(Exception):
    """What is wrong, a fault a line."""

    def __init__(self, faults: Sequence[str], understood: dict[str, Any] | None = None) -> None:
        """``understood``: the values that are right, so that they can be checked as well."""
        super().__init__("\n".join(faults))
        self.faults = list(faults)
        self.understood = understood or {}


@dataclass(slots=True)
class Configuration:
    """The options in force: ``values`` by name, defaults included."""

    values: dict[str, Any]
    flags: frozenset[str] = frozenset()  # names given as flags: a reload can't change them
    config_file: Path = Path(DEFAULT_CONFIG_FILE)
    warnings: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def parse_flags(argv: Sequence[str]) -> dict[str, Any]:
    """The options of a command line, by name. Raises ``ConfigurationError``."""
    given: dict[str, Any] = {}
    faults: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--" or not word.startswith("-") or word == "-":
            extra = rest if word == "--" else [word]
            if extra:
                faults.append(f"unexpected argument: {extra[0]}: pierd takes only flags")
            rest = [] if word == "--" else rest
            continue
        if word.startswith("--"):
            name, equals, text = word[2:].partition("=")
            option = BY_FLAG.get(name)
            shown = f"--{name}"
        else:
            shown, attached = word[:2], word[2:]
            option = BY_SHORT.get(word[1])
            equals, text = ("=", attached.removeprefix("=")) if attached else ("", "")
        if option is None:
            faults.append(f"unknown flag: {shown}")
            continue
        if not equals:
            if option.kind == "bool":
                text = "true"
            elif rest:
                text = rest.pop(0)
            else:
                faults.append(f"flag needs an argument: {shown}")
                continue
        try:
            given[option.name] = values.from_flag(option, text, given.get(option.name))
        except ValueError as error:
            faults.append(f"invalid argument for {shown}: {error}")
    if faults:
        raise ConfigurationError(faults, given)
    return given


def read_file(path: Path, *, required: bool) -> dict[str, Any]:
    """The options of a daemon.json, by name. A missing file is empty unless ``required``."""
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        if required:
            raise ConfigurationError([f"{path}: {error.strerror}"]) from error
        return {}
    except OSError as error:
        raise ConfigurationError([f"{path}: {error.strerror}"]) from error
    if not text.strip():
        return {}
    doubled: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                doubled.append(key)
            found[key] = value
        return found

    try:
        document = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError([f"{path}: invalid JSON: {error}"]) from error
    if not isinstance(document, dict):
        raise ConfigurationError([f"{path}: expected a JSON object"])
    faults = [f"{path}: {key} is given more than once" for key in doubled]
    found: dict[str, Any] = {}
    unknown = []
    for key, value in document.items():
        option = BY_KEY.get(key)
        if option is None:
            unknown.append(key)
            continue
        try:
            found[key] = values.from_json(option, value)
        except ValueError as error:
            faults.append(f"{path}: {key}: {error}")
    if unknown:
        faults.append(
            f"{path}: the following directives don't match any configuration option: "
            + ", ".join(unknown)
        )
    if faults:
        raise ConfigurationError(faults, found)
    return found


def load(argv: Sequence[str]) -> Configuration:
    """Flags and file merged and checked. Raises ``ConfigurationError`` with every fault."""
    faults: list[str] = []
    flags: dict[str, Any] = {}
    try:
        flags = parse_flags(argv)
    except ConfigurationError as error:
        faults += error.faults
        flags = error.understood
    path = Path(flags.get("config-file", DEFAULT_CONFIG_FILE))
    file: dict[str, Any] = {}
    try:
        file = read_file(path, required="config-file" in flags)
    except ConfigurationError as error:
        faults += error.faults
        file = error.understood
    twice = [
        f"{name}: (from flag: {flags[name]}, from file: {file[name]})"
        for name in file
        if name in flags and not _adds_up(name)
    ]
    if twice:
        faults.append(
            "the following directives are specified both as a flag and in the configuration "
            "file: " + ", ".join(twice)
        )
    merged = {option.name: option.default for option in OPTIONS if not _idle(option)}
    merged.update(file)
    for name, value in flags.items():
        if name in file and isinstance(value, dict):
            value = {**file[name], **value}
        merged[name] = value
    faults += check(merged)
    if faults:
        raise ConfigurationError(faults)
    if not merged.get("hosts"):
        merged["hosts"] = [DEFAULT_HOST]
    return Configuration(merged, frozenset(flags), path, _warnings(merged))


def _adds_up(name: str) -> bool:
    """dockerd merges these from both places."""
    return name == "runtimes"


def _idle(option: Option) -> bool:
    return bool(option.note or option.refused)


def check(merged: dict[str, Any]) -> list[str]:
    """Faults that show only when all is known."""
    faults = []
    for name, value in merged.items():
        option = BY_KEY.get(name)
        if option is not None and option.refused and value:
            faults.append(f"{name} is not supported: {option.refused}")
    checks = (
        ("labels", values.check_label, True),
        ("dns", values.check_address, True),
        ("ip", values.check_address, False),
        ("bip", values.check_interface, False),
        ("default-gateway", values.check_address, False),
        ("insecure-registries", values.check_registry, True),
        ("registry-mirrors", values.check_mirror, True),
        ("builder", values.check_builder, False),
    )
    for name, check, many in checks:
        for value in (merged.get(name) or []) if many else filter(None, [merged.get(name)]):
            try:
                check(value)
            except ValueError as error:
                faults.append(f"invalid {name}: {error}")
    for registry, mirrors in (merged.get("registry-mirrors-for") or {}).items():
        for mirror in mirrors:
            try:
                values.check_mirror(mirror)
            except ValueError as error:
                faults.append(f"invalid registry-mirrors-for {registry}: {error}")
    for name in ("max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts"):
        if (merged.get(name) or 0) < 0:
            faults.append(f"invalid {name}: {merged[name]} is negative")
    proxies = set(merged.get("proxies") or {}) - {"http-proxy", "https-proxy", "no-proxy"}
    if proxies:
        faults.append(f"invalid proxies: {', '.join(sorted(proxies))}: unknown")
    if merged.get("bip") and merged.get("bridge") == "none":
        faults.append("bridge none and bip contradict each other")
    names = [label.partition("=")[0] for label in merged.get("labels") or []]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.append(f"conflict labels for {name}: it is given more than once")
    mtu = merged.get("mtu") or 0
    if not 0 <= mtu <= 65535:
        faults.append(f"invalid mtu: {mtu} is not between 0 and 65535")
    runtime = merged.get("default-runtime") or ""
    known = {"crun", "runc", *(merged.get("runtimes") or {})}
    if runtime and runtime not in known:
        faults.append(f"specified default runtime '{runtime}' does not exist")
    for host in merged.get("hosts") or []:
        if not host.startswith(("unix://", "tcp://", "fd://")):
            faults.append(f"invalid host {host!r}: it begins with unix://, tcp:// or fd://")
    return faults


def _warnings(merged: dict[str, Any]) -> list[str]:
    return [
        f"{name} has no effect: {option.note}"
        for name in merged
        if (option := BY_KEY.get(name)) is not None and option.note
    ]


def usage() -> str:
    """The help text."""
    lines = ["Usage: pierd [OPTIONS]", "", "Pierhead's daemon: containers, images, networks.", ""]
    lines.append("Options:")
    for option in OPTIONS:
        if not option.flag or _idle(option):
            continue
        short = f"-{option.short}, " if option.short else "    "
        kind = "" if option.kind == "bool" else f" {option.kind}"
        default = ""
        if option.default not in (None, "", False):
            shown = "true" if option.default is True else option.default
            default = f" (default {shown})"
        lines.append(f"  {short}{f'--{option.flag}{kind}':<32} {option.help}{default}")
    lines.append("")
    lines.append(f"dockerd's names; the same as keys in {DEFAULT_CONFIG_FILE}.")
    return "\n".join(lines) + "\n"
