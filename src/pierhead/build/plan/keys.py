"""Keys of steps: digests of all that the result depends on, and what differs. Pure.

A key is the digest of canonical JSON: a version, the operation, the chain it stands on, and
the digests of what it reads. Times, names of stages and the place in the Dockerfile aren't in
it, so equal steps of different builds meet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pierhead.build.files.model import CopyRequest
from pierhead.build.plan.model import RunOp, WorkdirOp
from pierhead.oci.digest import ChainId, Digest, sha256

VERSION: Final = 2
"""Raised when a step's result changes for the same key."""

Parts = Mapping[str, Any]


def key(parts: Parts) -> Digest:
    """The digest of ``parts``, which are plain JSON."""
    return sha256(
        json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    )


def run(
    base: ChainId | None,
    op: RunOp,
    mounts: Sequence[Mapping[str, Any]],
    *,
    add_hosts: Sequence[tuple[str, str]] = (),
    platform: str = "",
    hostname: str = "",
    epoch_s: int | None = None,
) -> Parts:
    """A RUN; ``mounts`` say what each is and, of those with files, their digest."""
    return {
        "version": VERSION,
        "op": "run",
        "base": base,
        "args": list(op.args),
        "env": sorted(op.env),
        "user": op.user,
        "dir": op.working_dir,
        "mounts": list(mounts),
        "files": [[file.path, digest(file.data), file.mode] for file in op.files],
        "network": op.network.value,
        "insecure": op.insecure,
        "devices": [[device.name, device.required] for device in op.devices],
        "hosts": [list(host) for host in add_hosts],
        "platform": platform,
        "hostname": hostname,
        "epoch": epoch_s,
    }


def copy(base: ChainId | None, request: CopyRequest, files: Sequence[Any]) -> Parts:
    """A COPY or ADD; ``files`` are the selections' digests (or what stands for them)."""
    return {
        "version": VERSION,
        "op": "copy",
        "base": None if request.link else base,
        "files": list(files),
        "to": request.destination,
        "flags": _flags(request),
    }


def part(request: CopyRequest, tree: str) -> Parts:
    """One part of a COPY by what it was asked from which tree, without looking into it."""
    return {"tree": tree, "sources": list(request.sources), "flags": _flags(request)}


def _flags(request: CopyRequest) -> Parts:
    return {
        "unpack": request.unpack,
        "chown": request.chown,
        "chmod": request.chmod,
        "link": request.link,
        "parents": request.parents,
        "exclude": list(request.exclude),
        "keep_owner": request.keep_owner,
        "epoch": request.epoch_s,
        "classic": request.classic,
    }


def workdir(base: ChainId | None, op: WorkdirOp) -> Parts:
    return {
        "version": VERSION,
        "op": "workdir",
        "base": base,
        "path": op.path,
        "user": op.user,
        "epoch": op.epoch_s,
    }


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


# Why it was a miss


def shortened(parts: Parts) -> Parts:
    """What is remembered of a key's parts: enough to say which of them changed, no values."""
    kept: dict[str, Any] = {}
    for name, value in parts.items():
        if name == "env":
            kept["env"] = {item.partition("=")[0]: _short(item.partition("=")[2]) for item in value}
        elif name in ("base", "op", "version"):
            kept[name] = value
        else:
            kept[name] = _short(json.dumps(value, sort_keys=True))
    return kept


_WORDS: Final = {
    "args": "its command changed",
    "user": "USER changed",
    "dir": "WORKDIR changed",
    "mounts": "its mounts changed",
    "files": "its files changed",
    "network": "its network changed",
    "insecure": "--security changed",
    "devices": "its devices changed",
    "hosts": "--add-host changed",
    "platform": "it's for another platform",
    "hostname": "the host name changed",
    "epoch": "SOURCE_DATE_EPOCH changed",
    "to": "its destination changed",
    "flags": "its flags changed",
    "path": "its directory changed",
    "version": "the cache's format changed",
}


def difference(before: Parts, now: Parts) -> str:
    """Why a step with ``now`` isn't the one remembered as ``before`` (``shortened``)."""
    if before.get("op") != now.get("op"):
        return "no such step before"
    found = []
    for name, value in shortened(now).items():
        old = before.get(name)
        if old == value:
            continue
        if name == "env":
            found += _variables(old if isinstance(old, dict) else {}, value)
        elif name in _WORDS:
            found.append(_WORDS[name])
    if before.get("base") != now.get("base"):
        # What stands above says more than that it does.
        found.append("a step before it changed")
    return ", ".join(found) or "its result is no longer kept"


def _variables(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if not names:
        return []
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return [f"{'variables' if len(names) > 1 else 'variable'} {shown} changed"]
