"""Is a container's portable configuration possible? Docker's rules and words (pure)."""

from __future__ import annotations

from typing import Final

from pierhead.engine.config import ContainerConfig, HealthConfig
from pierhead.engine.containers.merge import clean_working_dir
from pierhead.engine.containers.signals import parse_signal
from pierhead.errors import InvalidParameter

MAX_HOSTNAME_BYTES: Final = 64  # HOST_NAME_MAX
MIN_DURATION_NS: Final = 1_000_000


def check_config(config: ContainerConfig) -> None:
    """Raise ``InvalidParameter`` naming the field; normalises ``working_dir`` in place."""
    if config.working_dir:
        config.working_dir = clean_working_dir(config.working_dir)
        check_path("WorkingDir", config.working_dir)
    if config.stop_signal:
        parse_signal(config.stop_signal)
    check_env(config.env)
    if len(config.hostname.encode()) > MAX_HOSTNAME_BYTES:
        raise InvalidParameter(
            f'hostname "{config.hostname}" is too long (maximum {MAX_HOSTNAME_BYTES} bytes)'
        )
    if config.hostname and any(c.isspace() or c in "\0/" for c in config.hostname):
        raise InvalidParameter(f"invalid hostname format: {config.hostname}")
    for name, words in (("Cmd", config.cmd), ("Entrypoint", config.entrypoint)):
        for word in words or ():
            _no_nul(name, word)
    for port in config.exposed_ports or ():
        check_port(port)
    check_health(config.healthcheck)


def check_path(field: str, path: str) -> None:
    """What no file system takes (PATH_MAX, NAME_MAX)."""
    _no_nul(field, path)
    too_long = len(path.encode()) >= 4096 or any(len(p.encode()) > 255 for p in path.split("/"))
    if too_long:
        raise InvalidParameter(f"invalid {field}: file name too long: {path[:64]}...")


def check_env(env: list[str] | None) -> None:
    """An entry without a name is refused."""
    for entry in env or ():
        if not entry or entry.startswith("="):
            raise InvalidParameter(f"invalid environment variable: {entry}")
        _no_nul("Env", entry)


def _no_nul(field: str, text: str) -> None:
    if "\0" in text:
        raise InvalidParameter(f"invalid {field}: a NUL byte is not possible in {text!r}")


def check_port(port: str) -> None:
    """``80``, ``80/tcp``, ``8000-8010/udp``."""
    numbers, _, protocol = port.partition("/")
    first, dash, last = numbers.partition("-")
    ends = [first, last] if dash else [first]
    good = all(e.isascii() and e.isdigit() and 0 < int(e) < 65536 for e in ends)
    if not good or protocol.lower() not in ("", "tcp", "udp", "sctp"):
        raise InvalidParameter(f"invalid JSON: invalid port '{port}': invalid syntax")
    if dash and int(first) > int(last):
        raise InvalidParameter(
            f"invalid JSON: invalid port '{port}': the range ends before it begins"
        )


def check_health(health: HealthConfig | None) -> None:
    """Durations are ns; zero means inherited."""
    if health is None:
        return
    for name, value in (
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ):
        if value != 0 and value < MIN_DURATION_NS:
            raise InvalidParameter(f"{name} in Healthcheck cannot be less than 1ms")
    if health.retries < 0:
        raise InvalidParameter("Retries in Healthcheck cannot be negative")
    if health.test and health.test[0] not in ("", "NONE", "CMD", "CMD-SHELL"):
        raise InvalidParameter(
            f"Unknown type '{health.test[0]}' in Healthcheck.Test, use NONE, CMD or CMD-SHELL"
        )
