"""List: summaries, filtered. What changes by itself ("Up 3 minutes") is put in at the end.

The rest of a summary is encoded once and kept until the container's record or status is
written: with a thousand containers that is the difference between 4 and 40 ms.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.durations import human_duration
from pierhead.engine.containers.inspect import endpoints, image_size, mounts
from pierhead.engine.containers.listfilter import ListFilter
from pierhead.engine.containers.model import Phase
from pierhead.engine.filters import Filters
from pierhead.errors import NotFound, PierError

_encode = msgspec.json.Encoder().encode

_SHOWN: Final = (
    "IPAMConfig", "Links", "Aliases", "MacAddress", "DriverOpts", "GwPriority", "NetworkID",
    "EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "IPv6Gateway", "GlobalIPv6Address",
    "GlobalIPv6PrefixLen", "DNSNames",
)  # fmt: skip


def select(ctx: Context, *, all: bool, limit: int, filters: Filters) -> list[Container]:
    """The containers to show, newest first. Raises for unknown filters and values."""
    chosen = ListFilter(ctx, filters)
    everything = all or limit > 0 or chosen.implies_all
    found: list[Container] = []
    for container in ctx.registry.all():
        if container.status.creating:
            continue
        if not everything and not container.active:
            continue
        if chosen.stops_at(container):
            break
        if not chosen.includes(container):
            continue
        found.append(container)
        if 0 < limit <= len(found):
            break
    return found


async def list_json(
    ctx: Context, *, all: bool, limit: int, size: bool, filters: Filters, api: int = 56
) -> bytes:
    """The encoded answer in the shape of API version 1.``api``."""
    form = form_of(api)
    containers = select(ctx, all=all, limit=limit, filters=filters)
    shown = _ImageNames(ctx)
    if size:
        summaries = [await _with_size(ctx, c, summary(ctx, c, shown, form)) for c in containers]
        return _encode(summaries)
    now_ns = time.time_ns()
    parts = []
    for container in containers:
        image = shown.of(container)
        cached = container.summary
        if cached is None or cached[0] != image or cached[1] != form:
            cached = container.summary = (image, form, _encoded(ctx, container, image, form))
        parts.append(b'%s"%s"}' % (cached[2], status_text(container, now_ns).encode()))
    return b"[" + b",".join(parts) + b"]"


def list_dicts(ctx: Context, *, all: bool, limit: int, filters: Filters) -> list[dict[str, Any]]:
    """The same, not encoded and without sizes."""
    shown = _ImageNames(ctx)
    return [
        summary(ctx, container, shown)
        for container in select(ctx, all=all, limit=limit, filters=filters)
    ]


def form_of(api: int) -> int:
    """Which of the element's forms an API version has: the last version that changed it."""
    return next((version for version in (52, 48, 46) if api >= version), 0)


def _encoded(ctx: Context, container: Container, image: str, form: int) -> bytes:
    """The JSON up to the status text: that is the last member, to be put in by hand."""
    return _encode(_fixed(ctx, container, image, form))[:-1] + b',"Status":'


def summary(
    ctx: Context, container: Container, shown: _ImageNames, form: int = 52
) -> dict[str, Any]:
    """One element of ``GET /containers/json``."""
    fixed = _fixed(ctx, container, shown.of(container), form)
    fixed["Status"] = status_text(container, time.time_ns())
    return fixed


def _fixed(ctx: Context, container: Container, image: str, form: int) -> dict[str, Any]:
    record, status = container.record, container.status
    host: dict[str, Any] = {"NetworkMode": record.host_config.network_mode}
    if record.host_config.annotations and form >= 46:
        host["Annotations"] = record.host_config.annotations
    health = status.health
    networks = {}
    for name, endpoint in endpoints(ctx, container).items():
        found = msgspec.to_builtins(endpoint)
        networks[name] = {key: found[key] for key in _SHOWN if key in found}
        if form < 48:
            networks[name].pop("GwPriority", None)
    fixed = {
        "Id": record.id,
        "Names": names(ctx, container),
        "Image": image,
        "ImageID": record.image_id,
        "Command": command(record.path, record.args),
        "Created": record.created_ns // 1_000_000_000,
        "Ports": ports(container),
        "Labels": record.config.labels or {},
        "State": str(status.phase),
        "HostConfig": host,
        "NetworkSettings": {"Networks": networks},
        "Mounts": mounts(container),
    }
    if form >= 52:
        fixed["Health"] = {
            "Status": health.status if health else "none",
            "FailingStreak": health.failing_streak if health else 0,
        }
    return fixed


def names(ctx: Context, container: Container) -> list[str]:
    """The container's name and those that links give it; a dead one has given its own up."""
    own = [container.name] if container.status.phase is not Phase.DEAD else []
    return [f"/{name}" for name in [*own, *ctx.registry.link_names(container)]]


def command(path: str, args: list[str]) -> str:
    """Words with blanks in quotes, no escaping: for people."""
    return " ".join([path, *(f"'{a}'" if " " in a else a for a in args)])


def ports(container: Container) -> list[dict[str, Any]]:
    """Exposed and published ports of a running container, exposed ones without an address."""
    found: list[dict[str, Any]] = []
    for port, bindings in container.status.ports.items():
        number, _, protocol = port.partition("/")
        base: dict[str, Any] = {"PrivatePort": int(number), "Type": protocol or "tcp"}
        if not bindings:
            found.append(base)
        for binding in bindings or ():
            found.append(
                {
                    "IP": binding.get("HostIp", ""),
                    "PrivatePort": base["PrivatePort"],
                    "PublicPort": int(binding.get("HostPort") or 0),
                    "Type": base["Type"],
                }
            )
    found.sort(key=lambda p: (p["PrivatePort"], p.get("PublicPort", 0), p["Type"]))
    return found


def status_text(container: Container, now_ns: int) -> str:
    """``Up 3 minutes (healthy)``, ``Exited (0) 5 hours ago``, ..."""
    status = container.status
    phase = status.phase
    if phase is Phase.RESTARTING:
        return f"Restarting ({status.exit_code}) {_since(status.finished_ns, now_ns)} ago"
    if phase in (Phase.RUNNING, Phase.PAUSED):
        text = f"Up {_since(status.started_ns, now_ns)}"
        if phase is Phase.PAUSED:
            return f"{text} (Paused)"
        if status.health is not None and status.health.status != "none":
            words = {"starting": "health: starting"}
            return f"{text} ({words.get(status.health.status, status.health.status)})"
        return text
    if phase is Phase.REMOVING:
        return "Removal In Progress"
    if phase is Phase.DEAD:
        return "Dead"
    if phase is Phase.CREATED:
        return "Created"
    return f"Exited ({status.exit_code}) {_since(status.finished_ns, now_ns)} ago"


def _since(then_ns: int, now_ns: int) -> str:
    return human_duration(max(0, now_ns - then_ns) / 1e9)


async def _with_size(ctx: Context, container: Container, found: dict[str, Any]) -> dict[str, Any]:
    try:
        usage = (await ctx.snapshots.usage(container.id)).size_bytes
    except (PierError, OSError):
        usage = 0
    if usage:
        found["SizeRw"] = usage
    found["SizeRootFs"] = usage + image_size(ctx, container.record.image_id)
    return found


class _ImageNames:
    """What to show as a container's image: the name it was made from, while that still fits."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._ids: dict[str, str] = {}

    def of(self, container: Container) -> str:
        record = container.record
        ref = record.image_ref
        if not ref:
            return record.image_id
        now = self._ids.get(ref)
        if now is None:
            try:
                now = self._ctx.images.resolve(ref).id
            except NotFound:
                now = ""
            except PierError:
                now = ""
            self._ids[ref] = now
        return ref if now in (record.image_id, "") else record.image_id
