"""What this builder says of itself: its worker, its version, what it is capable of. No IO.

Clients choose by these: the label ``snapshotter`` of a ``moby`` worker makes buildx take the
daemon for one that exports OCI archives, caches and several platforms, as this one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pierhead import __version__
from pierhead.build.buildkit import messages
from pierhead.build.buildkit.messages import Message
from pierhead.oci.platform import Platform

BUILDKIT: Final = "v0.24.0"
"""The release of BuildKit whose protocol is spoken here."""
LABEL: Final = "org.mobyproject.buildkit.worker."

GATEWAY_CAPS: Final = (
    "solve.base", "solve.inlinereturn", "resolveimage", "resolveimage.resolvemode", "readfile",
    "return", "returnmap", "readdir", "statfile", "importcaches", "proto.refarray",
    "reference.output", "frontend.inputs", "gateway.solve.metadata", "frontend.caps",
    "gateway.solve.evaluate", "gateway.evaluate", "gateway.warnings",
)  # fmt: skip

LLB_CAPS: Final = (
    "source.image", "source.image.resolvemode", "source.local", "source.local.unique",
    "source.local.sessionid", "source.local.includepatterns", "source.local.followpaths",
    "source.local.excludepatterns", "source.local.sharedkeyhint", "source.local.differ",
    "source.git", "source.git.keepgitdir", "source.git.fullurl", "source.git.httpauth",
    "source.git.subdir", "source.git.checksum", "source.http", "source.http.checksum",
    "source.http.perm", "soruce.http.uidgid", "source.buildop.llbfilename",
    "exec.meta.base", "exec.meta.cgroup.parent", "exec.meta.network", "exec.meta.proxyenv",
    "exec.meta.security", "exec.meta.setsdefaultpath", "exec.meta.ulimit",
    "exec.meta.linux.resources", "exec.mount.bind", "exec.mount.bind.readwrite-nooutput",
    "exec.mount.cache", "exec.mount.cache.sharing", "exec.mount.selector", "exec.mount.tmpfs",
    "exec.mount.tmpfs.size", "exec.mount.secret", "exec.mount.ssh", "exec.secretenv",
    "file.base", "file.rm.wildcard", "file.copy.includeexcludepatterns", "constraints",
    "platform", "meta.ignorecache", "meta.description", "meta.exportcache", "mergeop", "diffop",
    "exporter.image.annotations", "exporter.image.attestations", "exporter.sourcedateepoch",
    "exporter.multiple", "gc.freespacefilter",
)  # fmt: skip


def capabilities(names: Sequence[str]) -> list[Message]:
    kind = messages.get("moby.buildkit.v1.apicaps.APICap")
    return [kind(ID=name, Enabled=True) for name in names]


def version() -> Message:
    return messages.get("moby.buildkit.v1.types.BuildkitVersion")(
        package="pierhead", version=f"{BUILDKIT}+pierhead.{__version__}", revision=""
    )


def record(
    *, worker_id: str, hostname: str, snapshotter: str, gateway: str, platforms: Sequence[Platform]
) -> Message:
    """The one worker. ``gateway``: address that ``host-gateway`` means in ``--add-host``."""
    worker = messages.get("moby.buildkit.v1.types.WorkerRecord")(ID=worker_id)
    worker.Labels[f"{LABEL}executor"] = "oci"
    worker.Labels[f"{LABEL}hostname"] = hostname
    worker.Labels[f"{LABEL}network"] = "host"
    worker.Labels[f"{LABEL}snapshotter"] = snapshotter
    if gateway:
        worker.Labels[f"{LABEL}moby.host-gateway-ip"] = gateway
    for platform in platforms:
        worker.platforms.append(platform_message(platform))
    worker.BuildkitVersion.CopyFrom(version())
    return worker


def platform_message(platform: Platform) -> Message:
    return messages.get("pb.Platform")(
        OS=platform.os, Architecture=platform.architecture, Variant=platform.variant
    )


def definition_of(ref_id: str) -> Message:
    """A build definition that stands for one of our results: clients hand it back as an input.

    Go's clients check its form: operations, and a last one that only names its input.
    """
    import hashlib

    op: Any = messages.get("pb.Op")()
    op.source.identifier = RESULT_SCHEME + ref_id
    body = op.SerializeToString(deterministic=True)
    end: Any = messages.get("pb.Op")()
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    end.inputs.add(digest=digest)
    definition: Any = messages.get("pb.Definition")()
    getattr(definition, "def").extend([body, end.SerializeToString(deterministic=True)])
    definition.metadata[digest].description["pierhead"] = "result"
    return definition


RESULT_SCHEME: Final = "pierhead-result://"


def sources_of(definition: Message) -> list[tuple[str, dict[str, str]]]:
    """What a definition reads: (identifier, attributes) of each source.

    Empty if it does more than naming sources: that is for a solver of LLB.
    """
    found: list[tuple[str, dict[str, str]]] = []
    for body in getattr(definition, "def"):
        op = messages.get("pb.Op").FromString(body)
        if op.HasField("source"):
            found.append((op.source.identifier, dict(op.source.attrs)))
        elif not op.inputs or op.ByteSize() > sum(2 + part.ByteSize() for part in op.inputs):
            return []
    return found
