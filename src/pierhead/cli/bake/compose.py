"""Compose files as bake files: what ``build`` of a service says becomes a target. No IO.

Interpolation, merging of several files and ``x-bake`` as buildx has them. Needs PyYAML.
"""

from __future__ import annotations

from pierhead.cli.bake.target import BakeProblem, entries, merge
from pierhead.cli.build import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from pierhead.cli.bake.target import Target

_NAME_TEXT = "[a-zA-Z0-9_-]+"


def read(
    files: Iterable[tuple[str, bytes]], environment: Mapping[str, str]
) -> tuple[dict[str, dict[str, Any]], dict[str, Target]]:
    """(groups, targets) of all files together. Raises ``BakeProblem``, ``ValueError``."""
    whole: dict[str, Any] = {}
    for name, data in files:
        whole = _merged(whole, _loaded(name, data, environment), "")
    services = whole.get("services") or {}
    secrets = whole.get("secrets") or {}
    if not services and not secrets:
        raise BakeProblem("failed to parse compose file: empty compose file")
    group: dict[str, Any] = {"targets": []}
    targets: dict[str, Target] = {}
    for name in sorted(services):
        service = services[name] or {}
        build = service.get("build")
        if build is None:
            continue
        if isinstance(build, str):
            build = {"context": build}
        label = name.replace(".", "_")
        if not label or not all(char.isalnum() or char in "_-" for char in label):
            raise BakeProblem(
                f'failed to parse compose file: invalid service name "{label}": only '
                f'"{_NAME_TEXT}" are allowed'
            )
        group["targets"].append(label)
        targets[label] = _target(service, build, secrets, environment)
    return ({"default": group} if services else {}), targets


def _loaded(name: str, data: bytes, environment: Mapping[str, str]) -> dict[str, Any]:
    try:
        yaml = _yaml()
    except ImportError:
        raise BakeProblem(
            f"{name}: Compose files need the Python module yaml (python3-yaml)"
        ) from None
    try:
        loaded = yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise BakeProblem(f"failed to parse {name}: yaml: {error}") from None
    if not isinstance(loaded, dict):
        raise BakeProblem(
            f"failed to parse compose file: {name}: top-level object must be a mapping"
        )
    found: dict[str, Any] = {}
    for key in ("services", "secrets"):
        if loaded.get(key):
            found[key] = _interpolated(loaded[key], environment)
    return found


def _yaml() -> Any:
    """PyYAML; pier starts without site-packages (``-S``), where it lies."""
    try:
        import yaml
    except ImportError:
        import site

        site.main()
        import yaml
    return yaml


def _interpolated(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return interpolate(value, environment) if "$" in value else value
    if isinstance(value, list):
        return [_interpolated(one, environment) for one in value]
    if isinstance(value, dict):
        return {key: _interpolated(one, environment) for key, one in value.items()}
    return value


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """``$NAME``, ``${NAME:-default}``, ``-``, ``:+``, ``+``, ``:?``, ``?``; ``$$`` is a dollar."""
    out: list[str] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        out.append(text[at:dollar])
        at = dollar + 1
        if text.startswith("$", at):
            out.append("$")
            at += 1
        elif text.startswith("{", at):
            end = _closing(text, at)
            out.append(_braced(text[at + 1 : end], environment))
            at = end + 1
        else:
            end = at
            while end < len(text) and (text[end].isalnum() or text[end] == "_"):
                end += 1
            if end == at or text[at].isdigit():
                raise BakeProblem(f"invalid interpolation format for {text!r}")
            out.append(environment.get(text[at:end], ""))
            at = end
    return "".join(out) + text[at:]


def _closing(text: str, at: int) -> int:
    depth = 0
    for place in range(at, len(text)):
        if text[place] == "{":
            depth += 1
        elif text[place] == "}":
            depth -= 1
            if not depth:
                return place
    raise BakeProblem(f"invalid interpolation format for {text!r}")


def _braced(text: str, environment: Mapping[str, str]) -> str:
    end = 0
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    name, rest = text[:end], text[end:]
    colon = rest.startswith(":")
    operator = rest[colon : colon + 1]
    word = rest[colon + 1 :]
    value = environment.get(name)
    given = bool(value) if colon else value is not None
    if not rest:
        return value or ""
    if operator == "-":
        return value or "" if given else interpolate(word, environment)
    if operator == "+":
        return interpolate(word, environment) if given else ""
    if operator == "?":
        if not given:
            told = interpolate(word, environment)
            raise BakeProblem(f"required variable {name} is missing a value: {told}")
        return value or ""
    raise BakeProblem(f"invalid interpolation format for ${{{text}}}")


def _merged(base: Any, over: Any, key: str) -> Any:
    """A later file over an earlier one: maps by key, lists one after the other."""
    if isinstance(base, dict) and isinstance(over, dict):
        out = dict(base)
        for name, value in over.items():
            out[name] = _merged(out[name], value, name) if out.get(name) is not None else value
        return out
    if key == "build" and isinstance(over, dict) and isinstance(base, str):
        return {"context": base, **over}
    if key == "build" and isinstance(over, str) and isinstance(base, dict):
        return {**base, "context": over}
    if isinstance(base, list) and isinstance(over, list):
        return [*base, *(one for one in over if one not in base)]
    if key in ("args", "labels", "extra_hosts", "additional_contexts", "environment"):
        return {**_mapping(base), **_mapping(over)}
    return over


def _mapping(value: Any, separator: str = "=") -> dict[str, Any]:
    """``[K=V, ...]`` or a map; a key without a value has ``None``."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return {str(key): None if one is None else _text(one) for key, one in value.items()}
    found: dict[str, Any] = {}
    for text in value:
        key, equals, rest = str(text).partition(separator)
        found[key] = rest if equals else None
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _strings(value: Any) -> list[str]:
    if value is None:
        return []
    return [_text(one) for one in value] if isinstance(value, list) else [_text(value)]


def _target(
    service: dict[str, Any],
    build: dict[str, Any],
    secrets: dict[str, Any],
    environment: Mapping[str, str],
) -> Target:
    target: Target = {}
    for field, key in (
        ("context", "context"),
        ("dockerfile", "dockerfile"),
        ("dockerfile-inline", "dockerfile_inline"),
        ("target", "target"),
        ("network", "network"),
    ):
        if build.get(key):
            target[field] = _text(build[key])
    if "context" in target and "://" not in target["context"]:
        import posixpath

        target["context"] = posixpath.normpath(target["context"])
    own = _mapping(service.get("environment"))
    arguments = {}
    for key, value in _mapping(build.get("args")).items():
        if value is None:
            value = own.get(key) if own.get(key) is not None else environment.get(key)
        if value is not None:
            arguments[key] = value
    if arguments:
        target["args"] = arguments
    labels = {key: one or "" for key, one in _mapping(build.get("labels")).items()}
    if labels:
        target["labels"] = labels
    contexts = _mapping(build.get("additional_contexts"))
    if contexts:
        target["contexts"] = {key: _context(one or "") for key, one in contexts.items()}
    if build.get("tags"):
        target["tags"] = _strings(build["tags"])
    for field, key in (("cache-from", "cache_from"), ("cache-to", "cache_to")):
        if build.get(key):
            target[field] = entries(field, _strings(build[key]))
    if build.get("platforms"):
        target["platforms"] = _strings(build["platforms"])
    if build.get("shm_size"):
        target["shm-size"] = _size(build["shm_size"])
    limits = []
    for name, limit in sorted((build.get("ulimits") or {}).items()):
        soft, hard = (
            (limit, limit) if not isinstance(limit, dict) else (limit["soft"], limit["hard"])
        )
        limits.append(f"{name}={soft}:{hard}")
    if limits:
        target["ulimits"] = limits
    hosts = _hosts(build.get("extra_hosts"))
    if hosts:
        target["extra-hosts"] = hosts
    agents = [_agent(one) for one in build.get("ssh") or ()]
    if agents:
        target["ssh"] = sorted(agents, key=lambda one: (one["id"], one["paths"]))
    found = [_secret(one, secrets) for one in build.get("secrets") or ()]
    if found:
        target["secret"] = found
    attests = [
        values.attestation(values.attestation_flag(kind, _text(build[kind])))
        for kind in ("sbom", "provenance")
        if build.get(kind) is not None and _text(build[kind]) != ""
    ]
    if attests:
        target["attest"] = attests
    for field, key in (("no-cache", "no_cache"), ("pull", "pull")):
        if build.get(key):
            target[field] = True
    if build.get("no_cache_filter"):
        target["no-cache-filter"] = _strings(build["no_cache_filter"])
    if isinstance(build.get("x-bake"), dict):
        _extend(target, build["x-bake"])
    if not target.get("tags") and service.get("image"):
        target["tags"] = [str(service["image"])]
    return target


def _context(value: str) -> str:
    """``service:x`` is another target."""
    return "target:" + value[len("service:") :] if value.startswith("service:") else value


def _size(value: Any) -> str:
    from pierhead.cli.format.units import bytes_size, ram_in_bytes

    try:
        return bytes_size(value if isinstance(value, int) else ram_in_bytes(str(value)))
    except ValueError as error:
        raise BakeProblem(f"failed to parse compose file: shm_size: {error}") from None


def _hosts(value: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    if isinstance(value, dict):
        for key, one in value.items():
            found[str(key)] = ",".join(_strings(one))
        return found
    for text in value or ():
        name, equals, address = str(text).partition("=")
        if not equals:
            name, _, address = str(text).partition(":")
        found[name] = f"{found[name]},{address}" if name in found else address
    return found


def _agent(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        key, path = next(iter(value.items()))
        return {"id": str(key), "paths": [str(path)] if path else []}
    return dict(values.ssh(str(value)))


def _secret(value: Any, secrets: dict[str, Any]) -> dict[str, str]:
    source = value if isinstance(value, str) else str(value.get("source", ""))
    definition = secrets.get(source)
    if definition is None:
        raise BakeProblem(f'failed to parse compose file: undefined secret "{source}"')
    if definition.get("external"):
        raise BakeProblem(f"failed to parse compose file: unsupported external secret {source}")
    entry = {"id": source}
    if definition.get("environment"):
        entry["env"] = str(definition["environment"])
    if definition.get("file"):
        entry["src"] = str(definition["file"])
    return entry


def _extend(target: Target, extension: dict[str, Any]) -> None:
    """``x-bake``: fields of a target that Compose has no names for."""
    from pierhead.cli.bake.target import ENTRIES, each_once

    known = (*ENTRIES, "tags", "platforms", "pull", "no-cache", "no-cache-filter", "contexts")
    for field, value in extension.items():
        if field not in known:
            continue
        if field in ENTRIES:
            found = entries(field, value if isinstance(value, list) else [value])
            if field in ("output", "cache-to", "cache-from"):
                target[field] = [*target.get(field, ()), *found]
            else:
                merge(target, {field: found})
        elif field == "contexts":
            target["contexts"] = {**target.get("contexts", {}), **_mapping(value)}
        elif field in ("pull", "no-cache"):
            target[field] = bool(value)
        else:
            target[field] = each_once([*target.get(field, ()), *_strings(value)])
