"""A client's attributes as ``BuildOptions``. No IO.

The attributes are those of BuildKit's Dockerfile frontend (``frontend/dockerui``): strings,
``build-arg:NAME``, ``label:NAME``, ``context:NAME`` and the like. What isn't known is left
alone, as BuildKit does; what is known and can't be done is refused by name.
"""

from __future__ import annotations

import csv
import ipaddress
import json
from collections.abc import Iterable, Mapping
from typing import Final

from pierhead.build.model import BuildOptions, CacheOption, Limits, NetworkMode, Output
from pierhead.errors import InvalidParameter, NotImplementedYet

FRONTENDS: Final = frozenset({"dockerfile.v0", "gateway.v0"})
UPLOAD_PREFIX: Final = "http://buildkit-session/"
SOLVED_PREFIX: Final = "solved://"
"""A named context that is the result of another build."""

_CALLS: Final = {
    "frontend.lint": "check",
    "frontend.outline": "outline",
    "frontend.targets": "targets",
}
_INPUT_CONTEXTS: Final = frozenset({"context", "dockerfile"})
_CLIENTS: Final = frozenset({"prefer-image-digest", "load"})
"""Attributes of exporters that only clients read."""
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})


def call_of(attributes: Mapping[str, str]) -> str:
    """``check``, ``outline``, ``targets``, or "" for a build (``--call``)."""
    request = attributes.get("requestid", "")
    if not request:
        return ""
    if request not in _CALLS:
        raise NotImplementedYet(
            f"unsupported request {request}: `--call` is check, outline or targets here"
        )
    return _CALLS[request]


def build_options(
    attributes: Mapping[str, str],
    *,
    ref: str = "",
    entitlements: Iterable[str] = (),
    cache_to: Iterable[CacheOption] = (),
    cache_from: Iterable[CacheOption] = (),
    outputs: Iterable[Output] = (),
    inputs: Mapping[str, str] | None = None,
    shared_key: str = "",
) -> BuildOptions:
    """``inputs``: name of a frontend input → ref of the solved build it stands for."""
    given = dict(attributes)
    build_args = _prefixed(given, "build-arg:")
    options = BuildOptions(
        ref=ref,
        dockerfile=given.get("filename") or "Dockerfile",
        dockerfile_source=given.get("dockerfilekey") or "dockerfile",
        target=given.get("target", ""),
        platforms=[text for text in given.get("platform", "").split(",") if text],
        build_args=build_args,
        labels=_prefixed(given, "label:"),
        named_contexts=_contexts(given, inputs or {}),
        pull=_pull(given.get("image-resolve-mode", "")),
        network=_network(given.get("force-network-mode", "")),
        add_hosts=_hosts(given.get("add-hosts", "")),
        limits=_limits(given),
        entitlements=frozenset(entitlements),
        outputs=list(outputs),
        cache_to=list(cache_to),
        cache_from=[*cache_from, *_cache_imports(given)],
        provenance=_attestation(given, "provenance"),
        sbom=_attestation(given, "sbom"),
        multi_stage_cache_key=shared_key,
    )
    _context(options, given)
    _no_cache(options, given)
    epoch = build_args.get("SOURCE_DATE_EPOCH", "")
    if epoch:
        try:
            options.source_date_epoch = int(epoch)
        except ValueError:
            raise InvalidParameter(
                f"invalid SOURCE_DATE_EPOCH: {epoch}: use seconds since 1970"
            ) from None
    for output in options.outputs:
        options.tags += _names(output, options.tags)
    return options


def upload_id(attributes: Mapping[str, str]) -> str:
    """The client streams its context as a tar: what its upload service calls it, or ""."""
    context = attributes.get("context", "")
    return context.removeprefix(UPLOAD_PREFIX) if context.startswith(UPLOAD_PREFIX) else ""


def local_sessions(attributes: Mapping[str, str]) -> dict[str, str]:
    """Local sources that another session of the client serves: name → session id."""
    return _prefixed(attributes, "local-sessionid:")


def outputs_of(exporters: Iterable[tuple[str, Mapping[str, str]]]) -> list[Output]:
    """``moby`` and a ``docker`` without a file are this daemon's own images; none at all leaves
    the result in the cache, as ``--output type=cacheonly`` wants it."""
    found = [
        Output(
            type=_kind(kind),
            attributes={key: value for key, value in attributes.items() if key not in _CLIENTS},
            number=number,
        )
        for number, (kind, attributes) in enumerate(exporters)
    ]
    return found or [Output(type="cacheonly")]


def _kind(kind: str) -> str:
    return "image" if kind == "moby" else kind


def _names(output: Output, known: list[str]) -> list[str]:
    names = output.attributes.get("name", "").split(",") if output.type != "local" else []
    return [name for name in names if name and name not in known]


def _prefixed(attributes: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {
        key.removeprefix(prefix): value
        for key, value in attributes.items()
        if key.startswith(prefix)
    }


def _context(options: BuildOptions, given: Mapping[str, str]) -> None:
    context = given.get("context", "")
    key = given.get("contextkey") or "context"
    if not context or context.startswith(UPLOAD_PREFIX):
        options.context = key
    else:
        options.context = context
    if options.context != key or context.startswith(UPLOAD_PREFIX):
        # A remote context has the Dockerfile inside, unless the client says that it sends one.
        options.dockerfile_source = given.get("dockerfilekey", "")


def _contexts(given: Mapping[str, str], inputs: Mapping[str, str]) -> dict[str, str]:
    contexts: dict[str, str] = {}
    for name, value in _prefixed(given, "context:").items():
        if value.startswith("input:"):
            wanted = value.removeprefix("input:")
            if wanted not in inputs:
                raise InvalidParameter(f"invalid input {wanted} for {name}")
            value = SOLVED_PREFIX + inputs[wanted]
        contexts[name.partition("::")[0]] = value
    unknown = sorted(_INPUT_CONTEXTS & inputs.keys())
    if unknown:
        raise NotImplementedYet(
            f"a build definition (LLB) as {unknown[0]} is not supported: "
            "give a directory, a git or an http URL"
        )
    return contexts


def _no_cache(options: BuildOptions, given: Mapping[str, str]) -> None:
    if "no-cache" not in given:
        return
    if given["no-cache"]:
        options.no_cache_stages = given["no-cache"].split(",")
    else:
        options.no_cache = True


def _pull(mode: str) -> bool:
    if mode not in {"", "default", "local", "pull"}:
        raise InvalidParameter(f"invalid image-resolve-mode: {mode}")
    return mode == "pull"


def _network(mode: str) -> NetworkMode:
    if mode in {"", "sandbox"}:
        return NetworkMode.DEFAULT
    try:
        return NetworkMode(mode)
    except ValueError:
        raise InvalidParameter(f"invalid netmode {mode}") from None


def _hosts(text: str) -> list[tuple[str, str]]:
    hosts: list[tuple[str, str]] = []
    for item in _csv(text):
        name, equals, address = item.partition("=")
        if not equals:
            raise InvalidParameter(
                f"failed to parse additional hosts: invalid key-value pair {item}"
            )
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise InvalidParameter(
                f"failed to parse additional hosts: failed to parse IP {address}"
            ) from None
        hosts.append((name.lower(), address))
    return hosts


def _csv(text: str) -> list[str]:
    return next(csv.reader([text]), []) if text else []


def _limits(given: Mapping[str, str]) -> Limits:
    return Limits(
        memory=_number(given, "memory"),
        memory_swap=_number(given, "memswap"),
        cpu_shares=_number(given, "cpushares"),
        cpu_period=_number(given, "cpuperiod"),
        cpu_quota=_number(given, "cpuquota"),
        cpuset_cpus=given.get("cpusetcpus", ""),
        cpuset_mems=given.get("cpusetmems", ""),
        shm_size=_number(given, "shm-size"),
        ulimits=[_ulimit(item) for item in _csv(given.get("ulimit", ""))],
        cgroup_parent=given.get("cgroup-parent", ""),
    )


def _number(given: Mapping[str, str], key: str) -> int:
    text = given.get(key, "")
    if not text:
        return 0
    try:
        return int(text)
    except ValueError:
        raise InvalidParameter(f"invalid {key} value: {text}") from None


def _ulimit(text: str) -> tuple[str, int, int]:
    name, _, values = text.partition("=")
    soft, _, hard = values.partition(":")
    try:
        return name, int(soft), int(hard or soft)
    except ValueError:
        raise InvalidParameter(f"failed to parse ulimit: invalid ulimit argument: {text}") from None


def _cache_imports(given: Mapping[str, str]) -> list[CacheOption]:
    found: list[CacheOption] = []
    if given.get("cache-imports"):
        try:
            entries = json.loads(given["cache-imports"])
            for entry in entries:
                kind, attributes = entry.get("Type", ""), entry.get("Attrs") or {}
                found.append(CacheOption(type=kind, attributes=dict(attributes)))
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidParameter(f"failed to unmarshal cache-imports: {error}") from error
    for reference in filter(None, given.get("cache-from", "").split(",")):
        option = CacheOption(type="registry", attributes={"ref": reference})
        if option not in found:
            found.append(option)
    return found


def _attestation(given: Mapping[str, str], kind: str) -> dict[str, str] | None:
    """``attest:provenance=mode=min,inline-only=true`` → its attributes. ``None``: not asked for."""
    text = given.get(f"attest:{kind}", given.get(f"build-arg:BUILDKIT_ATTEST_{kind.upper()}"))
    if text is None:
        return None
    attributes: dict[str, str] = {}
    for item in _csv(text):
        key, _, value = item.partition("=")
        attributes[key.strip().lower()] = value
    if attributes.get("disabled", "") in _TRUE:
        return None
    attributes.pop("disabled", None)
    attributes.pop("type", None)
    return attributes
