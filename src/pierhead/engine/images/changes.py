"""``--change``: the Dockerfile instructions that only touch an image's configuration.

Import and commit take CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD,
STOPSIGNAL, USER, VOLUME and WORKDIR, parsed as in a Dockerfile (Dockerfile reference).
No IO.
"""

from __future__ import annotations

import posixpath
import re
import signal
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from pierhead.engine.images.clock import parse_duration
from pierhead.engine.images.words import expand, json_list, split_words
from pierhead.errors import InvalidParameter
from pierhead.oci.image_config import HealthcheckConfig, RunConfig

_MILLISECOND_NS: Final = 1_000_000
_PORT: Final = re.compile(r"(\d+)(?:-(\d+))?(?:/(\w+))?", re.ASCII)
_PROTOCOLS: Final = ("tcp", "udp", "sctp")


def apply(config: RunConfig, changes: Sequence[str]) -> RunConfig:
    """A copy of ``config`` with ``changes`` applied. Raises ``InvalidParameter``."""
    result = msgspec.convert(msgspec.to_builtins(config), RunConfig)
    change = _Changes(result)
    for text in changes:
        for line in _lines(text):
            change.line(line)
    return result


def _lines(text: str) -> list[str]:
    """Instructions of one change: continued lines joined, comments and empty lines left out."""
    joined = re.sub(r"\\[ \t]*\n", "", text)
    lines = [line.strip() for line in joined.split("\n")]
    return [line for line in lines if line and not line.startswith("#")]


class _Changes:
    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._cmd_set = False
        self._verbs: dict[str, Callable[[str], None]] = {
            "CMD": self._cmd,
            "ENTRYPOINT": self._entrypoint,
            "ENV": self._env,
            "EXPOSE": self._expose,
            "HEALTHCHECK": self._healthcheck,
            "LABEL": self._label,
            "ONBUILD": self._onbuild,
            "STOPSIGNAL": self._stopsignal,
            "USER": self._user,
            "VOLUME": self._volume,
            "WORKDIR": self._workdir,
        }

    def line(self, line: str) -> None:
        name, _, rest = line.partition(" ") if " " in line else line.partition("\t")
        verb = self._verbs.get(name.upper())
        if verb is None:
            raise InvalidParameter(f"{name.lower()} is not a valid change command")
        rest = rest.strip()
        if not rest and name.upper() not in ("CMD", "ENTRYPOINT"):
            raise InvalidParameter(f"{name.upper()} requires at least one argument")
        verb(rest)

    def _variables(self) -> dict[str, str]:
        pairs = (item.partition("=") for item in self._config.env or ())
        return {name: value for name, _, value in pairs}

    def _expanded(self, text: str) -> str:
        return expand(text, self._variables())

    def _command(self, text: str) -> list[str]:
        parsed = json_list(text)
        if parsed is not None:
            return parsed
        return [*(self._config.shell or ["/bin/sh", "-c"]), text] if text else []

    def _cmd(self, text: str) -> None:
        self._config.cmd = self._command(text)
        self._cmd_set = True

    def _entrypoint(self, text: str) -> None:
        self._config.entrypoint = self._command(text) or None
        if not self._cmd_set:
            self._config.cmd = None

    def _pairs(self, verb: str, text: str) -> list[tuple[str, str]]:
        """``a=b c="d e"``, or the old form ``name the rest``."""
        words = split_words(text)
        if "=" not in words[0]:
            name, _, value = text.partition(" ")
            value = value.strip()
            if not value:
                raise InvalidParameter(f"{verb} must have two arguments")
            return [(self._expanded(name), self._expanded(value))]
        variables = self._variables()
        pairs = []
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                raise InvalidParameter(
                    f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value'
                )
            name = expand(name, variables)
            if not name:
                raise InvalidParameter(f"{verb} names can not be blank")
            pairs.append((name, expand(value, variables)))
        return pairs

    def _env(self, text: str) -> None:
        env = list(self._config.env or ())
        for name, value in self._pairs("ENV", text):
            for index, item in enumerate(env):
                if item.partition("=")[0] == name:
                    env[index] = f"{name}={value}"
                    break
            else:
                env.append(f"{name}={value}")
        self._config.env = env

    def _label(self, text: str) -> None:
        labels = dict(self._config.labels or {})
        labels.update(self._pairs("LABEL", text))
        self._config.labels = labels

    def _expose(self, text: str) -> None:
        ports = dict(self._config.exposed_ports or {})
        for word in split_words(text):
            ports.update({port: {} for port in _ports(self._expanded(word))})
        self._config.exposed_ports = ports

    def _volume(self, text: str) -> None:
        paths = json_list(text) or [self._expanded(word) for word in split_words(text)]
        volumes = dict(self._config.volumes or {})
        for path in paths:
            path = path.strip()
            if not path:
                raise InvalidParameter("VOLUME specified can not be an empty string")
            volumes[path] = {}
        self._config.volumes = volumes

    def _user(self, text: str) -> None:
        words = split_words(text)
        if len(words) != 1:
            raise InvalidParameter("USER requires exactly one argument")
        self._config.user = self._expanded(words[0])

    def _workdir(self, text: str) -> None:
        path = self._expanded(text)
        base = self._config.working_dir or "/"
        self._config.working_dir = posixpath.normpath(posixpath.join("/", base, path))

    def _stopsignal(self, text: str) -> None:
        name = self._expanded(text)
        if not _is_signal(name):
            raise InvalidParameter(f"Invalid signal: {name}")
        self._config.stop_signal = name

    def _onbuild(self, text: str) -> None:
        trigger = text.split(None, 1)[0].upper()
        if trigger == "ONBUILD":
            raise InvalidParameter("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
        if trigger in ("MAINTAINER", "FROM"):
            raise InvalidParameter(f"{trigger} isn't allowed as an ONBUILD trigger")
        self._config.on_build = [*(self._config.on_build or ()), text]

    def _healthcheck(self, text: str) -> None:
        check = HealthcheckConfig()
        while text.startswith("--"):
            flag, _, text = text.partition(" ")
            text = text.strip()
            self._health_flag(check, flag)
        kind, _, rest = text.partition(" ")
        rest = rest.strip()
        if kind.upper() == "NONE":
            if rest:
                raise InvalidParameter("HEALTHCHECK NONE takes no arguments")
            self._config.healthcheck = HealthcheckConfig(test=["NONE"])
            return
        if kind.upper() != "CMD":
            raise InvalidParameter(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
        if not rest:
            raise InvalidParameter("Missing command after HEALTHCHECK CMD")
        parsed = json_list(rest)
        check.test = ["CMD", *parsed] if parsed is not None else ["CMD-SHELL", rest]
        self._config.healthcheck = check

    def _health_flag(self, check: HealthcheckConfig, flag: str) -> None:
        name, equals, value = flag[2:].partition("=")
        if name == "retries":
            if not value.isdigit() or int(value) < 1:
                raise InvalidParameter(f"--retries must be at least 1 (not {value})")
            check.retries = int(value)
            return
        field = {
            "interval": "interval",
            "timeout": "timeout",
            "start-period": "start_period",
            "start-interval": "start_interval",
        }.get(name)
        if field is None or not equals:
            raise InvalidParameter(
                f"Unknown flag: {name}" if field is None else f"Missing a value on flag: {name}"
            )
        duration = parse_duration(value)
        if 0 < duration < _MILLISECOND_NS or duration < 0:
            raise InvalidParameter(f"Interval {name!r} cannot be less than 1ms")
        setattr(check, field, duration)


def _ports(text: str) -> list[str]:
    """``80``, ``80/udp``, ``8000-8010/tcp`` as ``port/protocol``."""
    match = _PORT.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"Invalid containerPort: {text}")
    first, last = int(match[1]), int(match[2] or match[1])
    protocol = (match[3] or "tcp").lower()
    if protocol not in _PROTOCOLS:
        raise InvalidParameter(f"Invalid proto: {protocol}")
    if not first <= last <= 65535:
        raise InvalidParameter(f"Invalid containerPort: {text}")
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _is_signal(name: str) -> bool:
    if name.isdigit():
        return 0 < int(name) <= 64
    upper = name.upper().removeprefix("SIG")
    if re.fullmatch(r"RTM(IN(\+\d+)?|AX(-\d+)?)", upper):
        return True
    return f"SIG{upper}" in signal.Signals.__members__
