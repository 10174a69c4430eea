"""What a container inherits from its image (Docker's rules; pure)."""

from __future__ import annotations

import posixpath

import msgspec

from pierhead.engine.config import ContainerConfig, HealthConfig
from pierhead.errors import InvalidParameter


def merge_config(asked: ContainerConfig, image: ContainerConfig) -> ContainerConfig:
    """Return ``asked`` completed from ``image``.

    The rules that surprise: a given entrypoint drops the image's command; an entrypoint
    of ``[""]`` means none at all; an image's environment comes after the user's and only
    for names that the user did not set. Raises ``InvalidParameter`` if nothing is left to run.
    """
    merged = msgspec.structs.replace(asked)
    merged.user = asked.user or image.user
    if image.exposed_ports:
        merged.exposed_ports = {**image.exposed_ports, **(asked.exposed_ports or {})}
    merged.env = merge_env(asked.env, image.env)
    if image.labels or asked.labels:
        merged.labels = {**(image.labels or {}), **(asked.labels or {})}
    if image.volumes:
        merged.volumes = {**image.volumes, **(asked.volumes or {})}
    if not asked.entrypoint:
        if not asked.cmd:
            merged.cmd = image.cmd
            merged.args_escaped = asked.args_escaped or image.args_escaped
        if asked.entrypoint is None:
            merged.entrypoint = image.entrypoint
    merged.healthcheck = merge_health(asked.healthcheck, image.healthcheck)
    merged.working_dir = asked.working_dir or image.working_dir
    merged.stop_signal = asked.stop_signal or image.stop_signal
    if merged.stop_timeout is None:
        merged.stop_timeout = image.stop_timeout
    if merged.shell is None:
        merged.shell = image.shell
    if merged.entrypoint == [""]:
        merged.entrypoint = None
    if not merged.entrypoint and not merged.cmd:
        raise InvalidParameter("no command specified")
    if merged.working_dir:
        merged.working_dir = clean_working_dir(merged.working_dir)
    return merged


def merge_env(asked: list[str] | None, image: list[str] | None) -> list[str] | None:
    """User's entries first, then the image's for names not yet there."""
    if not image:
        return asked
    if not asked:
        return list(image)
    names = {entry.partition("=")[0] for entry in asked}
    return asked + [entry for entry in image if entry.partition("=")[0] not in names]


def merge_health(asked: HealthConfig | None, image: HealthConfig | None) -> HealthConfig | None:
    """Field by field: zero means "as the image says"."""
    if image is None or asked is None:
        return asked if image is None else msgspec.structs.replace(image)
    return HealthConfig(
        test=asked.test or image.test,
        interval=asked.interval or image.interval,
        timeout=asked.timeout or image.timeout,
        start_period=asked.start_period or image.start_period,
        start_interval=asked.start_interval or image.start_interval,
        retries=asked.retries or image.retries,
    )


def clean_working_dir(path: str) -> str:
    """Normalise; raise ``InvalidParameter`` for a relative one."""
    if not path.startswith("/"):
        raise InvalidParameter(
            f"the working directory '{path}' is invalid, it needs to be an absolute path"
        )
    # normpath keeps a leading "//", which POSIX allows to be special; here it is not.
    return "/" + posixpath.normpath(path).lstrip("/")


def command_of(config: ContainerConfig) -> tuple[str, list[str]]:
    """Entrypoint and command as (path, args), as inspect shows them."""
    words = [*(config.entrypoint or []), *(config.cmd or [])]
    return words[0], words[1:]


def replace_env(env: list[str], overrides: list[str] | None) -> list[str]:
    """Set the ``overrides`` in ``env``: ``NAME=value`` replaces in place, ``NAME`` alone unsets."""
    if not overrides:
        return env
    order: dict[str, str | None] = {entry.partition("=")[0]: entry for entry in env}
    for entry in overrides:
        name, equals, _ = entry.partition("=")
        order[name] = entry if equals else None
    return [entry for entry in order.values() if entry is not None]
