"""One build as the command line or a bake file wants it, and what the daemon is told. Pure.

``Request`` holds plain values under buildx's names. ``options`` makes the object that
begins a build at the daemon's own door (fields of its ``BuildOptions``).
"""

from __future__ import annotations

from pierhead.cli.flags import parse_bool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_NETWORKS = ("", "default", "none", "host")
#: Types whose bytes come back to the client.
SENT_BACK = ("local", "tar", "oci", "docker")


class Request:
    """Everything one build was asked with. Fields as in ``pierhead.cli.build.values``."""

    def __init__(self) -> None:
        self.context = "."
        self.dockerfile = ""
        self.dockerfile_text: bytes | None = None
        self.target = ""
        self.tags: list[str] = []
        self.platforms: list[str] = []
        self.build_args: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.annotations: dict[str, str] = {}
        self.contexts: dict[str, str] = {}
        self.outputs: list[dict[str, str]] = []
        self.cache_from: list[dict[str, str]] = []
        self.cache_to: list[dict[str, str]] = []
        self.attestations: dict[str, dict[str, str] | None] = {}
        self.secrets: list[dict[str, str]] = []
        self.ssh: list[dict[str, object]] = []
        self.no_cache = False
        self.no_cache_filter: list[str] = []
        self.pull = False
        self.network = "default"
        self.hosts: list[list[str]] = []
        self.ulimits: list[list[object]] = []
        #: Fields of the daemon's ``Limits`` other than ulimits.
        self.limits: dict[str, object] = {}
        self.allow: list[str] = []
        self.squash = False
        self.call: dict[str, str] = {"name": "build", "format": "", "ignorestatus": ""}
        self.debug = False
        self.ref = ""

    def push_and_load(self, *, push: bool, load: bool) -> None:
        """``--push`` and ``--load`` as outputs. Raises ``ValueError`` in buildx's words."""
        if push:
            self._push()
        if load:
            for entry in self.outputs:
                if entry["type"] == "docker" and not entry.get("dest"):
                    break
            else:
                self.outputs.append({"type": "docker"})

    def _push(self) -> None:
        for entry in self.outputs:
            if entry["type"] in ("registry", "image"):
                entry["push"] = "true"
                return
        self.outputs.append({"type": "image", "push": "true"})

    def settle_outputs(self) -> None:
        """Check outputs, and give each the form that the daemon takes. Raises ``ValueError``."""
        seen: set[str] = set()
        for entry in self.outputs:
            kind = entry["type"]
            if kind == "registry":
                kind = entry["type"] = "image"
                entry.setdefault("push", "true")
            if kind == "docker" and not entry.get("dest"):
                kind = entry["type"] = "image"
            if kind == "image" and entry.get("push") and _is_true(entry["push"]):
                if not self.tags and not entry.get("name"):
                    raise ValueError("tag is needed when pushing to registry")
            destination = entry.get("dest", "")
            if kind == "local" and not destination:
                raise ValueError("dest is required for local output")
            if kind in ("oci", "tar", "docker") and not destination:
                entry["dest"] = destination = "-"
            if kind in SENT_BACK and kind != "local" and destination == "-":
                if "-" in seen:
                    raise ValueError("only one output can be written to stdout")
                seen.add("-")

    def platform_list(self) -> list[str]:
        """All platforms, each once, in order."""
        found: dict[str, None] = {}
        for text in self.platforms:
            for part in text.split(","):
                if part.strip():
                    found[part.strip()] = None
        return list(found)


def _is_true(text: str) -> bool:
    try:
        return parse_bool(text)
    except ValueError:
        return False


def _entries(entries: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [
        {
            "type": entry["type"],
            "attributes": {key: value for key, value in entry.items() if key != "type"},
        }
        for entry in entries
    ]


def options(request: Request, located: Mapping[str, Any], shared_key: str) -> dict[str, Any]:
    """What begins the build. ``located`` are the fields that say where files are:

    ``context``, ``dockerfile``, ``dockerfile_source``, ``dockerfile_text``,
    ``named_contexts``, ``context_tar``. Empty fields are left out.
    Raises ``ValueError``.
    """
    entitlements = list(request.allow)
    if request.network == "host" and "network.host" not in entitlements:
        entitlements.append("network.host")
    outputs = _entries(request.outputs)
    for number, entry in enumerate(outputs):
        entry["number"] = number
    cache_to = _entries(request.cache_to)
    if _is_true(request.build_args.get("BUILDKIT_INLINE_CACHE", "")):
        cache_to.append({"type": "inline", "attributes": {}})
    limits = dict(request.limits)
    if request.ulimits:
        limits["ulimits"] = request.ulimits
    fields: dict[str, Any] = {
        **located,
        "target": request.target,
        "tags": request.tags,
        "platforms": request.platform_list(),
        "build_args": request.build_args,
        "labels": request.labels,
        "annotations": request.annotations,
        "no_cache": request.no_cache,
        "no_cache_stages": request.no_cache_filter,
        "pull": request.pull,
        "network": request.network if request.network in ("none", "host") else "",
        # Another one of the daemon's networks: buildx would refuse, the classic builder not.
        "network_name": "" if request.network in _NETWORKS else request.network,
        "add_hosts": request.hosts,
        "limits": limits,
        "squash": request.squash,
        "entitlements": entitlements,
        "outputs": outputs,
        "cache_from": _entries(request.cache_from),
        "cache_to": cache_to,
        "check_only": request.call["name"] == "lint",
        "debug": request.debug,
        "multi_stage_cache_key": shared_key,
        "ref": request.ref,
    }
    fields = {key: value for key, value in fields.items() if value or key == "context"}
    for kind in ("provenance", "sbom"):
        if (attributes := request.attestations.get(kind)) is not None:
            fields[kind] = attributes
    unknown = [kind for kind in request.attestations if kind not in ("provenance", "sbom")]
    if unknown:
        raise ValueError(f'attestation type "{unknown[0]}" is unknown: provenance or sbom')
    epoch = request.build_args.get("SOURCE_DATE_EPOCH", "")
    if epoch:
        try:
            fields["source_date_epoch"] = int(epoch)
        except ValueError:
            raise ValueError(f"invalid SOURCE_DATE_EPOCH: {epoch}") from None
    return fields
