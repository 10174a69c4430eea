"""A RUN step's runtime specification: what is Docker's in a build and not in a container. Pure.

BuildKit's ``executor/oci`` for the choices. ``SpecInputs`` is made here, the specification
itself by ``oci.runtime_spec``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pierhead.build.dockerfile.gotext import quote
from pierhead.build.execute.model import RunStep
from pierhead.build.model import Limits
from pierhead.errors import InvalidParameter
from pierhead.oci.runtime_spec import (
    NEW,
    Device,
    Namespace,
    Resources,
    SpecInputs,
    User,
    container_env,
)

HOSTNAME: Final = "buildkitsandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What the process may do."""

    capabilities: Sequence[str]
    seccomp: dict[str, Any] | None = None
    seccomp_bpf: str | None = None
    no_new_privileges: bool = False
    devices: Sequence[Device] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where it runs."""

    cgroups_path: str
    network: Namespace
    mounts: Sequence[dict[str, Any]] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    """What mounts add to the environment."""
    shm_size: int = 0
    rlimits: Sequence[tuple[str, int, int]] = ()
    swap_accounting: bool = True
    own_cgroups: bool = False
    """A cgroup namespace: cheap with cgroup v2, 150 ms for all the mounts of v1."""


def inputs(
    step: RunStep, user: User, rights: Rights, place: Place, *,
    args: Sequence[str] | None = None, terminal: bool = False,
    console_size: tuple[int, int] | None = None,
) -> SpecInputs:  # fmt: skip
    """The inputs of ``build_spec``; ``args`` and ``terminal`` are for a debug shell."""
    hostname = step.hostname or HOSTNAME
    env: list[str] = [*step.env, *(f"{name}={value}" for name, value in place.env.items())]
    if not step.classic:
        env.insert(0, "HOSTNAME")  # not there, that is
    return SpecInputs(
        args=[_text(word) for word in (step.args if args is None else args)],
        env=[_text(one) for one in container_env(env, hostname=hostname, terminal=terminal)],
        cwd=step.working_dir or "/",
        terminal=terminal,
        console_size=console_size,
        user=user,
        capabilities=rights.capabilities,
        no_new_privileges=rights.no_new_privileges,
        rlimits=place.rlimits,
        hostname=hostname,
        mounts=place.mounts,
        shm_size=step.limits.shm_size or place.shm_size,
        devices=rights.devices,
        network=place.network,
        pid=NEW,
        ipc=NEW,
        uts=NEW,
        cgroup=NEW if place.own_cgroups else None,
        privileged=step.insecure,
        seccomp=rights.seccomp,
        seccomp_bpf=rights.seccomp_bpf,
        cgroups_path=place.cgroups_path,
        resources=resources(step.limits, swap_accounting=place.swap_accounting),
    )


def _text(word: str) -> str:
    """What isn't UTF-8 becomes U+FFFD, as in Docker, whose specification is JSON as well."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def resources(limits: Limits, *, swap_accounting: bool = True) -> Resources:
    """The step's limits as the runtime takes them."""
    return Resources(
        memory=limits.memory,
        memory_swap=limits.memory_swap,
        cpu_shares=limits.cpu_shares,
        cpu_period=limits.cpu_period,
        cpu_quota=limits.cpu_quota,
        cpuset_cpus=limits.cpuset_cpus,
        cpuset_mems=limits.cpuset_mems,
        swap_accounting=swap_accounting,
    )


def rlimits(
    asked: Sequence[tuple[str, int, int]], defaults: Mapping[str, tuple[int, int]]
) -> list[tuple[str, int, int]]:
    """``--ulimit`` over the daemon's defaults: name, soft, hard."""
    merged = dict(defaults)
    merged.update({name: (soft, hard) for name, soft, hard in asked})
    return [(name, soft, hard) for name, (soft, hard) in merged.items()]


def hosts_text(hostname: str, extra: Sequence[tuple[str, str]]) -> str:
    """/etc/hosts of a step; ``extra`` are names and addresses of ``--add-host``."""
    lines = [
        f"127.0.0.1\tlocalhost {hostname or HOSTNAME}",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        *(f"{address}\t{name}" for name, address in extra),
    ]
    return "\n".join(lines) + "\n"


def bind(source: str, destination: str, *options: str) -> dict[str, Any]:
    """A bind mount of the runtime spec."""
    return {
        "destination": destination,
        "type": "bind",
        "source": source,
        "options": ["rbind", "rprivate", *options],
    }


def quoted(args: Sequence[str]) -> str:
    """The command as BuildKit's errors show it: Go's ``%q`` of the joined words."""
    return quote(" ".join(args))


def failure(args: Sequence[str], exit_code: int, *, out_of_memory: bool, no_space: bool) -> str:
    """Why a step failed, in BuildKit's words and, where we know more, in ours."""
    text = f"process {quoted(args)} did not complete successfully: exit code: {exit_code}"
    if out_of_memory:
        text += ": cannot allocate memory"
    elif no_space:
        text += ": no space left on device"
    return text


def exit_code(status: int) -> int:
    """A process's status as Docker counts it: 128 and the number for a signal."""
    return status if status >= 0 else 128 - status


def check_devices(devices: Sequence[str]) -> None:
    """``RUN --device`` names CDI devices, which nothing here provides yet."""
    for device in devices:
        name, _, options = device.partition(",")
        if "required=false" in options.replace(" ", ""):
            continue
        raise InvalidParameter(
            f"device {name} is not available: pierd has no CDI devices. Give the step all "
            "devices with RUN --security=insecure (pier build --allow security.insecure)"
        )
