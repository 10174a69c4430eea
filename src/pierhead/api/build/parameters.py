"""The query of ``POST /build``, checked in Docker's order and words. No IO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

import msgspec

from pierhead.api import codec, query
from pierhead.build.model import BuildOptions, Limits, NetworkMode
from pierhead.errors import InvalidParameter, NotImplementedYet
from pierhead.oci import platform as platforms
from pierhead.oci import reference

T = TypeVar("T")

BUILDKIT: Final = "2"
_REMOTE: Final = ("http://", "https://")
_GIT: Final = ("git://", "github.com/", "git@")


class Query(Protocol):
    """What is asked of a query: aiohttp's multidict has it."""

    def get(self, key: str, default: str) -> str: ...

    def getall(self, key: str, default: list[str]) -> list[str]: ...


class _Ulimit(msgspec.Struct):
    """Docker's ``Ulimit``."""

    name: str = msgspec.field(default="", name="Name")
    soft: int = msgspec.field(default=0, name="Soft")
    hard: int = msgspec.field(default=0, name="Hard")


@dataclass(slots=True, kw_only=True)
class ClassicRequest:
    """What a classic build is asked, beside what every build is."""

    options: BuildOptions
    quiet: bool = False
    remove: bool = True
    """Say that the intermediate containers are removed (there are none)."""
    force_remove: bool = False
    cache_from: list[str] = field(default_factory=list)
    """Images whose history alone may serve as the cache; none: all that is there."""


def version(given: Query) -> str:
    """Which builder: "1" (also when not given) or ``BUILDKIT``."""
    asked = given.get("version", "")
    if asked not in ("", "1", BUILDKIT):
        raise InvalidParameter(f'invalid version "{asked}"')
    return asked or "1"


def read(given: Query, api: int) -> ClassicRequest:
    """``BuildOptions`` of a classic build and the rest. ``api``: minor version.

    Raises ``InvalidParameter`` in dockerd's words.
    """

    def text(key: str) -> str:
        return given.get(key, "")

    def flag(key: str) -> bool:
        return query.boolean(text(key))

    if given.getall("securityopt", []):
        raise InvalidParameter(
            "The daemon on this platform does not support setting security options on build"
        )
    isolation = text("isolation")
    if isolation not in ("", "default"):
        raise InvalidParameter(f'Unsupported isolation: "{isolation}"')
    limits = _limits(text)
    arguments = _json("buildargs", text, dict[str, str | None], "error reading build args")
    labels = _json("labels", text, dict[str, str], "error reading labels")
    cache_from = _json("cachefrom", text, list[str], "error reading cache-from")
    if api >= 40:
        _json("outputs", text, list[dict[str, Any]], "invalid outputs specified")
    network, name = _network(text("networkmode"))
    options = BuildOptions(
        context=_context(text("remote")),
        dockerfile=text("dockerfile") or "Dockerfile",
        target=text("target"),
        tags=tags(given.getall("t", [])),
        platforms=_platforms(text("platform")) if api >= 32 else [],
        # One without a value is `--build-arg NAME` with no such variable: the default counts.
        build_args={key: value for key, value in (arguments or {}).items() if value is not None},
        labels=labels or {},
        no_cache=flag("nocache"),
        pull=flag("pull"),
        network=network,
        network_name=name,
        add_hosts=_hosts(given.getall("extrahosts", [])),
        limits=limits,
        squash=flag("squash"),
        # The classic builder asks nobody: who may talk to the daemon may do it.
        entitlements=frozenset({"network.host"}),
        classic=True,
        door="classic",
        ref=text("buildid"),
    )
    return ClassicRequest(
        options=options,
        quiet=flag("q"),
        remove=flag("forcerm") or not text("rm") or flag("rm"),
        force_remove=flag("forcerm"),
        cache_from=cache_from or [],
    )


def tags(names: Sequence[str]) -> list[str]:
    """Names for the image in their familiar form, each once, with ``:latest`` added."""
    found: dict[str, None] = {}
    for name in names:
        if not name:
            continue
        parsed = reference.parse(name)
        if parsed.digest:
            raise InvalidParameter("build tag cannot contain a digest")
        found[parsed.with_default_tag().familiar] = None
    return list(found)


def _json(key: str, text: Any, type_: type[T], words: str) -> T | None:
    """A parameter that is a JSON document; ``None`` if it's not given, or ``null``."""
    value: str = text(key)
    if not value:
        return None
    try:
        document = msgspec.json.decode(value.encode("utf-8", "surrogateescape"))
        return None if document is None else codec.convert(document, type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"{words}: {error}") from error
    except InvalidParameter as error:
        raise InvalidParameter(f"{words}: {error.message}") from error


def _limits(text: Any) -> Limits:
    def number(key: str) -> int:
        """What isn't a number counts as 0, as it does in dockerd."""
        try:
            return query.integer(key, text(key)) or 0
        except InvalidParameter:
            return 0

    ulimits = _json("ulimits", text, list[_Ulimit], "error reading ulimit settings") or []
    memory = number("memory")
    if 0 < memory < 6 << 20:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    shm_size = query.integer("shmsize", text("shmsize")) or 0
    if shm_size < 0:
        raise InvalidParameter("SHM size can not be less than 0")
    return Limits(
        memory=memory,
        memory_swap=number("memswap"),
        cpu_shares=number("cpushares"),
        cpu_period=number("cpuperiod"),
        cpu_quota=number("cpuquota"),
        cpuset_cpus=text("cpusetcpus"),
        cpuset_mems=text("cpusetmems"),
        shm_size=shm_size,
        ulimits=tuple((limit.name, limit.soft, limit.hard) for limit in ulimits),
        cgroup_parent=text("cgroupparent"),
    )


def _network(mode: str) -> tuple[NetworkMode, str]:
    """The mode, and the name where it is one of pierd's networks."""
    if mode in ("", "default", "bridge"):
        return NetworkMode.DEFAULT, ""
    if mode in ("none", "host"):
        return NetworkMode(mode), ""
    if mode.startswith("container:"):
        raise NotImplementedYet(
            f"networkmode {mode}: a build can't join a container's network: name a network "
            "that both are on"
        )
    return NetworkMode.DEFAULT, mode


def _hosts(entries: Sequence[str]) -> list[tuple[str, str]]:
    """``name:address`` (``name=address``, too). Some clients put several into one, with commas."""
    found = []
    for entry in (part for text in entries for part in text.split(",")):
        if not entry:
            continue
        mark = "=" if "=" in entry else ":"
        name, _, address = entry.partition(mark)
        if not name or not address:
            raise InvalidParameter(f'bad format for add-host: "{entry}"')
        found.append((name, address.removeprefix("[").removesuffix("]")))
    return found


def _platforms(text: str) -> list[str]:
    wanted = query.platform(text)
    if not wanted:
        return []
    platforms.parse(wanted, "amd64")  # whether it is one; what is left out is the builder's
    return [wanted]


def _context(remote: str) -> str:
    if not remote:
        return "context"
    if remote == "client-session":
        raise InvalidParameter(
            "experimental session with v1 builder is no longer supported, use builder version "
            "v2 (BuildKit) instead"
        )
    if not remote.startswith(_REMOTE + _GIT):
        raise InvalidParameter(f"remoteURL ({remote}) could not be recognized as URL")
    return remote
