"""Failed steps that are kept to be looked at: their records.

::

    <data-root>/builds/failed/<id>.json    one step: what ran, on which snapshot

The snapshot (its key is the id) holds what the step had written. Secrets and ssh agents
are the client's: a later shell has them only if its own client does. What was bound from
a context or a stage stays mountable until pierd ends.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from pierhead.build.execute.model import MountKind, RunStep, Sharing, StepFile, StepMount
from pierhead.build.files.model import Source, SourceKind
from pierhead.build.model import Limits, NetworkMode
from pierhead.errors import Conflict, NotFound
from pierhead.oci.digest import ChainId, Digest
from pierhead.oci.platform import Platform

log = logging.getLogger(__name__)

KEY_PREFIX: Final = "build-"
"""Of the keys of steps' snapshots, which are the ids of kept steps."""
KEEP_NS: Final = 24 * 3600 * 1_000_000_000
KEEP_AT_MOST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A failed step that can be looked at. Times are nanoseconds since 1970."""

    id: str
    build_ref: str
    name: str
    exit_code: int
    failed_ns: int
    expires_ns: int
    step: RunStep
    notes: tuple[str, ...] = ()
    """For who opens a shell: what isn't as it was."""


class KeptSteps:
    """The records, in memory and in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._kept: dict[str, Kept] = {}
        for path in directory.glob("*.json"):
            try:
                kept = decode(json.loads(path.read_bytes()))
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("a kept build step can't be read: %s", error, extra={"path": str(path)})
                path.unlink(missing_ok=True)
                continue
            self._kept[kept.id] = kept

    def all(self) -> list[Kept]:
        """Newest first."""
        return sorted(self._kept.values(), key=lambda one: -one.failed_ns)

    def add(self, kept: Kept) -> None:
        self._kept[kept.id] = kept
        path = self._directory / f"{kept.id}.json"
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(encode(kept)))
        os.chmod(temporary, 0o600)
        temporary.rename(path)

    def drop(self, kept_id: str) -> None:
        self._kept.pop(kept_id, None)
        (self._directory / f"{kept_id}.json").unlink(missing_ok=True)

    def find(self, ref: str) -> Kept:
        """By id, its unique prefix (with or without ``build-``), or the build's ref.

        Of a build's several the newest. ``NotFound``, ``Conflict`` for an ambiguous prefix.
        """
        everything = self.all()
        for kept in everything:
            if ref and ref in (kept.id, kept.build_ref):
                return kept
        found = [one for one in everything if ref and one.id.removeprefix("build-").startswith(ref)]
        if not found:
            raise NotFound(
                f"no failed step is kept under {ref!r}: build with --debug to keep one, "
                "and see pier build history for what is there"
            )
        if len(found) > 1:
            raise Conflict(f"{ref!r} means several kept steps: give more of the id")
        return found[0]

    def expired(self, now_ns: int) -> list[Kept]:
        """Those past their time, and the oldest beyond the number that is kept."""
        everything = self.all()
        return [
            kept
            for number, kept in enumerate(everything)
            if kept.expires_ns <= now_ns or number >= KEEP_AT_MOST
        ]


def encode(kept: Kept) -> dict[str, Any]:
    """As JSON can have it. Sources stand there by their chain, if they have one. Pure."""
    data = asdict(kept)
    step = data["step"]
    step["files"] = [
        {"path": file.path, "data": file.data.hex(), "mode": file.mode} for file in kept.step.files
    ]
    for mount, given in zip(step["mounts"], kept.step.mounts, strict=True):
        source = given.source
        mount["source"] = None
        if source is not None:
            mount["source"] = {
                "kind": source.kind, "name": source.name,
                "identity": source.identity, "chain_id": source.chain_id,
            }  # fmt: skip
    return data


def decode(data: dict[str, Any]) -> Kept:
    """The inverse, as far as it goes after a restart: only chains can still be mounted. Pure."""
    raw = dict(data["step"])
    notes = []
    mounts = []
    for one in raw["mounts"]:
        mount = dict(one)
        mount["kind"], mount["sharing"] = MountKind(mount["kind"]), Sharing(mount["sharing"])
        source = mount["source"]
        if source is not None:
            if SourceKind(source["kind"]) is not SourceKind.CHAIN:
                if mount["kind"] is MountKind.BIND:
                    notes.append(f"{mount['target']} (from {source['name']}) is not mounted")
                    continue
                mount["source"] = None
            else:
                mount["source"] = Source(
                    kind=SourceKind.CHAIN,
                    name=source["name"],
                    identity=source["identity"] and Digest(source["identity"]),
                    chain_id=source["chain_id"] and ChainId(source["chain_id"]),
                )
        mounts.append(StepMount(**mount))
    limits = dict(raw["limits"])
    limits["ulimits"] = [tuple(limit) for limit in limits["ulimits"]]
    raw.update(
        mounts=mounts,
        files=[
            StepFile(path=file["path"], data=bytes.fromhex(file["data"]), mode=file["mode"])
            for file in raw["files"]
        ],
        devices=tuple(raw["devices"]),
        network=NetworkMode(raw["network"]),
        add_hosts=[tuple(host) for host in raw["add_hosts"]],
        limits=Limits(**limits),
        platform=raw["platform"] and Platform(**raw["platform"]),
    )
    known = {field.name for field in fields(RunStep)}
    step = RunStep(**{key: value for key, value in raw.items() if key in known})
    rest = {key: data[key] for key in ("id", "build_ref", "name", "exit_code")}
    return Kept(
        **rest, failed_ns=data["failed_ns"], expires_ns=data["expires_ns"], step=step,
        notes=tuple(notes),
    )  # fmt: skip


def shell_of(step: RunStep) -> list[str]:
    """What to open in a kept step: the shell that ran its command, or sh. Pure."""
    if len(step.args) >= 3 and step.args[1].startswith("-") and "c" in step.args[1]:
        return [step.args[0]]
    return ["/bin/sh"]


def optional(step: RunStep) -> RunStep:
    """The step as a shell opens it: what its client had may be missing now. Pure."""
    return replace(
        step,
        mounts=[
            replace(mount, required=False) if mount.kind in _OF_CLIENT else mount
            for mount in step.mounts
        ],
    )


_OF_CLIENT: Final = (MountKind.SECRET, MountKind.SSH)
