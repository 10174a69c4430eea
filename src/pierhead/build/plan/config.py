"""The image config as instructions change it. Pure.

One ``ConfigState`` goes through one stage. ``env`` is what the stage's instructions see:
the image's variables and the build arguments that are declared; in ``run`` are only the
image's own.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Final, TypeVar

import msgspec

from pierhead.build.dockerfile import model
from pierhead.build.dockerfile.gotext import quote_list
from pierhead.build.plan import texts
from pierhead.engine.containers.signals import parse_signal
from pierhead.errors import InvalidParameter
from pierhead.oci.image_config import HealthcheckConfig, ImageConfig, RunConfig

S = TypeVar("S", bound=msgspec.Struct)

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PORT: Final = re.compile(r"(\d+)(?:-(\d+))?", re.ASCII)


def clone(struct: S) -> S:
    """A deep copy."""
    return msgspec.convert(msgspec.to_builtins(struct), type(struct))


class ConfigState:
    """Changed in place, an instruction at a time; ``snapshot`` copies it."""

    def __init__(self, image: ImageConfig, *, classic: bool) -> None:
        self.image = clone(image)
        self.run: RunConfig = self.image.config
        self.classic = classic
        self.author = self.image.author if classic else ""
        self.cmd_set = False
        self.arguments: dict[str, str | None] = {}
        """Declared build arguments, in order; ``None``: declared, without a value."""
        env = environment(self.run.env)
        if "PATH" not in env:
            self.run.env = [*(self.run.env or ()), f"PATH={DEFAULT_PATH}"]
            env["PATH"] = DEFAULT_PATH
        self.env = env
        self._own = set(env)
        """Names in ``run.env``."""

    def inherit(self, base: ConfigState) -> None:
        """Stand on another stage: BuildKit's build arguments go along, the classic's don't."""
        if not self.classic:
            self.env = {**base.env, **self.env}
            self.arguments = dict(base.arguments)

    def snapshot(self) -> RunConfig:
        """The config as it is now. Instructions put new values in, they change none in place."""
        return copy(self.run)

    @property
    def shell(self) -> Sequence[str]:
        return self.run.shell or texts.DEFAULT_SHELL

    @property
    def working_dir(self) -> str:
        return self.run.working_dir or "/"

    def absolute(self, path: str) -> str:
        """``path`` below WORKDIR, cleaned; a trailing "/" (or "/.") stays as "/"."""
        joined = posixpath.join(self.working_dir, path or "./")
        clean = "/" + posixpath.normpath(joined).lstrip("/")
        is_dir = path in ("", ".") or path.endswith(("/", "/."))
        return clean + "/" if is_dir and clean != "/" else clean

    # Build arguments

    def declare(self, key: str, value: str | None, *, visible: bool = True) -> None:
        """ARG. With BuildKit's rules it hides an ENV of before, with the classic's never."""
        self.arguments[key] = value
        if value is None or not visible:
            return
        if not self.classic or key not in self._own:
            self.env[key] = value

    def declared(self) -> list[tuple[str, str]]:
        """The arguments as RUN's history lists them."""
        if self.classic:
            return sorted(
                (key, value)
                for key, value in self.arguments.items()
                if value is not None and key not in self._own
            )
        return [(key, self.env.get(key, value or "")) for key, value in self.arguments.items()]

    # Instructions that change the config only: each returns its text for the history

    def set_env(self, item: model.Env) -> str:
        for pair in item.pairs:
            if pair.key in self._own:
                self.run.env = with_variable(self.run.env, pair.key, pair.value)
            else:
                self.run.env = [*(self.run.env or ()), f"{pair.key}={pair.value}"]
                self._own.add(pair.key)
            self.env[pair.key] = pair.value
        return " ".join(["ENV", *(f"{pair.key}={pair.value}" for pair in item.pairs)])

    def set_labels(self, pairs: Sequence[tuple[str, str]]) -> str:
        self.run.labels = {**(self.run.labels or {}), **dict(pairs)}
        return " ".join(["LABEL", *(f"{key}={value}" for key, value in pairs)])

    def set_cmd(self, item: model.Cmd) -> str:
        args = self.command(item)
        self.run.cmd = args
        self.run.args_escaped = not self.classic
        self.cmd_set = not self.classic or bool(args)
        return f"CMD {quote_list(args)}"

    def set_entrypoint(self, item: model.Entrypoint) -> str:
        args = self.command(item)
        self.run.entrypoint = args
        if self.classic:
            self.run.args_escaped = False
        if not self.cmd_set:
            self.run.cmd = None
        return f"ENTRYPOINT {quote_list(args)}"

    def command(self, item: model.ShellForm) -> list[str]:
        """Arguments of a shell or JSON form; heredocs are RUN's business."""
        if isinstance(item.cmd, str):
            return [*self.shell, item.cmd]
        return list(item.cmd)

    def set_healthcheck(self, item: model.Healthcheck) -> str:
        check = HealthcheckConfig(
            test=list(item.test),
            interval=item.interval_ns,
            timeout=item.timeout_ns,
            start_period=item.start_period_ns,
            start_interval=item.start_interval_ns,
            retries=item.retries,
        )
        self.run.healthcheck = check
        if self.classic:
            return f"HEALTHCHECK {texts.healthcheck_classic(check)}"
        return f"HEALTHCHECK {texts.healthcheck(check)}"

    def set_user(self, item: model.User) -> str:
        self.run.user = item.user
        return f"USER {item.user}"

    def set_volumes(self, item: model.Volume) -> str:
        if not all(item.paths):
            raise InvalidParameter("VOLUME specified can not be an empty string")
        self.run.volumes = {**(self.run.volumes or {}), **{path: {} for path in item.paths}}
        return f"VOLUME {texts.plain_list(item.paths)}"

    def set_stop_signal(self, item: model.StopSignal) -> str:
        try:
            parse_signal(item.signal)
        except InvalidParameter as error:
            if self.classic:
                raise InvalidParameter(f"Invalid signal: {item.signal}") from error
            raise
        self.run.stop_signal = item.signal
        return f"STOPSIGNAL {item.signal}"

    def set_shell(self, item: model.Shell) -> str:
        self.run.shell = list(item.shell)
        return f"SHELL {texts.plain_list(item.shell)}"

    def set_on_build(self, item: model.OnBuild) -> str:
        self.run.on_build = [*(self.run.on_build or ()), item.trigger]
        return f"ONBUILD {item.trigger}"

    def set_maintainer(self, item: model.Maintainer) -> str:
        self.author = self.image.author = item.maintainer
        return f"MAINTAINER {item.maintainer}"

    def expose(self, item: model.Expose) -> str:
        ports = [port for text in item.ports for port in ports_of(text)]
        self.run.exposed_ports = {**(self.run.exposed_ports or {}), **{port: {} for port in ports}}
        if self.classic:
            return f"EXPOSE {' '.join(item.ports)}"
        return f"EXPOSE {texts.plain_list(ports)}"

    def set_working_dir(self, path: str) -> str:
        """WORKDIR; returns the new directory. The classic builder takes absolute ones as said."""
        if self.classic and path.startswith("/"):
            self.run.working_dir = path
            return path
        self.run.working_dir = "/" + posixpath.normpath(
            posixpath.join(self.run.working_dir or "/", path)
        ).lstrip("/")
        return self.run.working_dir


def environment(env: Sequence[str] | None) -> dict[str, str]:
    """``KEY=value`` items as a mapping; later ones win."""
    pairs = (item.partition("=") for item in env or ())
    return {key: value for key, _, value in pairs}


def with_variable(env: Sequence[str] | None, key: str, value: str) -> list[str]:
    """``env`` with ``key`` set, in its old place if it had one."""
    items = list(env or ())
    for index, item in enumerate(items):
        if item.partition("=")[0] == key:
            items[index] = f"{key}={value}"
            return items
    return [*items, f"{key}={value}"]


def ports_of(text: str) -> list[str]:
    """``8000-8002/udp`` → the three ports; ``InvalidParameter`` with BuildKit's words.

    A host address and host ports in front are allowed and mean nothing, as in Docker.
    """
    port, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash and protocol else "tcp"
    container = port.rpartition(":")[2]
    if not container:
        raise InvalidParameter(f"no port specified: {text}<empty>")
    if protocol not in ("tcp", "udp", "sctp"):
        raise InvalidParameter(f'invalid port: "{text}": invalid proto: {protocol}')
    match = _PORT.fullmatch(container)
    if match is None:
        raise InvalidParameter(f"invalid containerPort: {container}")
    first = int(match[1])
    last = int(match[2]) if match[2] else first
    if last < first or last > 0xFFFF:
        raise InvalidParameter(f"invalid containerPort: {container}")
    return [f"{number}/{protocol}" for number in range(first, last + 1)]


def lookup(env: Mapping[str, str], hidden: Sequence[str] = ()) -> Mapping[str, str]:
    """``env`` for showing a command: what ``hidden`` names is not shown."""
    return {**env, **dict.fromkeys(hidden, "****")} if hidden else env
