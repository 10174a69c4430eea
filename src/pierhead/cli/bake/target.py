"""A target of a bake file: its fields, how two merge, how ``--print`` shows it. Pure.

A target is a dict of fields by their names in bake files; what isn't set isn't there.
Rules as in buildx's ``bake/bake.go``.
"""

from __future__ import annotations

from pierhead.cli.build import values
from pierhead.cli.flags import go_quote, parse_bool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Target = dict[str, Any]

STRINGS = (
    "context",
    "dockerfile",
    "dockerfile-inline",
    "target",
    "network",
    "shm-size",
    "call",
    "description",
)
LISTS = (
    "inherits",
    "annotations",
    "tags",
    "platforms",
    "no-cache-filter",
    "ulimits",
    "entitlements",
)
MAPS = ("contexts", "args", "labels", "extra-hosts")
BOOLS = ("pull", "no-cache")
ENTRIES = ("attest", "cache-from", "cache-to", "secret", "ssh", "output")
FIELDS = (*STRINGS, *LISTS, *MAPS, *BOOLS, *ENTRIES)

#: The order in which ``--print`` shows fields.
SHOWN = (
    *("description", "annotations", "attest", "context", "contexts", "dockerfile"),
    *("dockerfile-inline", "args", "labels", "tags", "cache-from", "cache-to", "target"),
    *("secret", "ssh", "platforms", "output", "pull", "no-cache", "network"),
    *("no-cache-filter", "shm-size", "ulimits", "call", "entitlements", "extra-hosts"),
)
_ESCAPED = ("annotations", "dockerfile-inline", "labels", "args", "extra-hosts")


class BakeProblem(Exception):
    """A fault that isn't one of a file's syntax; the text is buildx's."""


def entries(field: str, value: Any) -> list[dict[str, Any]]:
    """The entries of a field that has strings or objects. Raises ``ValueError``."""
    found: list[dict[str, Any]] = []
    for one in value:
        if one is None or one == "":
            continue
        if isinstance(one, str):
            found += _parsed(field, one)
            continue
        if not isinstance(one, dict):
            raise ValueError(f"{field}: a string or an object is required")
        entry = {str(key): item for key, item in one.items() if item is not None}
        if field == "ssh":
            found.append({"id": entry.get("id", ""), "paths": list(entry.get("paths") or ())})
            continue
        if field == "attest" and "disabled" in entry:
            entry["disabled"] = _text(entry["disabled"])
        entry = {key: _text(item) for key, item in entry.items()}
        if field == "secret":
            if entry.pop("type", "file") == "env" and not entry.get("env"):
                entry["env"] = entry.pop("src", "")
            entry = {key: entry[key] for key in ("id", "src", "env") if entry.get(key)}
        elif not entry.get("type"):
            if field == "attest":
                raise ValueError("attestation type not specified")
            if field == "output":
                raise ValueError("type is required for output")
            raise ValueError(f"type required for {go_quote(_json(one))}")
        found.append(entry)
    return found


def _json(value: Any) -> str:
    import json

    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _parsed(field: str, text: str) -> list[dict[str, Any]]:
    if field == "output":
        return [dict(values.output(text))]
    if field in ("cache-from", "cache-to"):
        return [dict(one) for one in values.cache_entries([text])]
    if field == "attest":
        return [dict(values.attestation(text))]
    if field == "secret":
        return [dict(values.secret(text))]
    return [dict(values.ssh(text))]


def merge(target: Target, other: Target) -> None:
    """What ``other`` says wins or is added, field by field."""
    for field, value in other.items():
        if value is None:
            continue
        if field in MAPS:
            found = {**target.get(field, {})}
            found.update({key: one for key, one in value.items() if one is not None})
            target[field] = found
        elif field in ("annotations", "no-cache-filter", "ulimits", "entitlements", "inherits"):
            target[field] = [*target.get(field, ()), *value]
        elif field in ("attest", "secret", "ssh", "cache-from"):
            target[field] = without_repeats(field, [*target.get(field, ()), *value])
        elif field in ("cache-to", "output"):
            target[field] = list(value)
        elif field == "description" and not value:
            continue
        else:
            target[field] = value


def without_repeats(field: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each entry once: by its key where it has one, else by all of it."""
    if field in ("attest", "secret", "ssh"):
        key = "type" if field == "attest" else "id"
        places: dict[Any, int] = {}
        out: list[dict[str, Any]] = []
        for entry in found:
            at = places.get(entry.get(key, ""))
            if at is not None:
                out[at] = entry
            else:
                places[entry.get(key, "")] = len(out)
                out.append(entry)
        return out
    # As buildx goes about it: from the back, a repeat is swapped for the last one.
    out = list(found)
    for at in range(len(out) - 2, -1, -1):
        for other in range(at + 1, len(out)):
            if out[at] == out[other]:
                out[other] = out[-1]
                out.pop()
                break
    return out


def each_once(found: Iterable[str]) -> list[str]:
    """Texts without repeats and empty ones, in order."""
    return [text for text in dict.fromkeys(found) if text]


def normalize(target: Target) -> None:
    """Repeats go; host networking asks for its entitlement."""
    for field in ("annotations", "tags", "platforms", "no-cache-filter", "ulimits"):
        if field in target:
            target[field] = each_once(target[field])
    for field in ENTRIES:
        if field in target:
            target[field] = without_repeats(field, target[field])
    if target.get("network") == "host":
        target["entitlements"] = [*target.get("entitlements", ()), "network.host"]
    if "entitlements" in target:
        target["entitlements"] = each_once(target["entitlements"])
    if "contexts" in target:
        target["contexts"] = {key: one for key, one in target["contexts"].items() if one}


def override(target: Target, changes: dict[str, Change]) -> None:
    """Apply ``--set`` to a target. Raises ``BakeProblem`` and ``ValueError``."""
    for path, change in changes.items():
        field, _, name = path.partition(".")
        apply = _OVERRIDES.get(field)
        if apply is None:
            raise BakeProblem(f"unknown key: {field}")
        apply(target, field, name, change)


class Change:
    """What ``--set`` says about one key: the last value, and all of them for lists."""

    __slots__ = ("append", "value", "values")

    def __init__(self) -> None:
        self.value = ""
        self.values: list[str] = []
        self.append = False


def _set_string(target: Target, field: str, name: str, change: Change) -> None:
    target[field] = change.value


def _set_map(target: Target, field: str, name: str, change: Change) -> None:
    if not name:
        raise BakeProblem(f"invalid format for {field}, expecting {field}.<name>=<value>")
    target[field] = {**target.get(field, {}), name: change.value}


def _set_list(target: Target, field: str, name: str, change: Change) -> None:
    field = {"platform": "platforms"}.get(field, field)
    before = target.get(field, []) if change.append else []
    target[field] = [*before, *change.values]


def _add_list(target: Target, field: str, name: str, change: Change) -> None:
    target[field] = [*target.get(field, ()), *change.values]


def _set_entries(target: Target, field: str, name: str, change: Change) -> None:
    field = {"secrets": "secret"}.get(field, field)
    found = entries(field, change.values)
    if change.append or field == "attest":
        found = without_repeats(field, [*target.get(field, ()), *found])
    target[field] = found


def _set_bool(target: Target, field: str, name: str, change: Change) -> None:
    target[field] = _truth(field, change.value)


def _truth(field: str, text: str) -> bool:
    try:
        return parse_bool(text)
    except ValueError:
        raise BakeProblem(f"invalid value {text} for boolean key {field}") from None


def _set_secret(target: Target, field: str, name: str, change: Change) -> None:
    for entry in target.get("secret", ()):
        if entry.get("id") != name:
            continue
        found = values.secret(change.value)
        if found.get("id", name) != name:
            raise BakeProblem(
                f'secret override id "{found["id"]}" does not match declared secret "{name}"'
            )
        for key in ("src", "env"):
            entry.pop(key, None)
            if found.get(key):
                entry[key] = found[key]
        return
    raise BakeProblem(f'secret "{name}" must be declared before it can be overridden')


def _set_push(target: Target, field: str, name: str, change: Change) -> None:
    outputs = [dict(entry) for entry in target.get("output", ())]
    if not _truth(field, change.value):
        outputs = [entry for entry in outputs if entry["type"] != "registry"]
        for entry in outputs:
            if entry["type"] == "image":
                entry["push"] = "false"
    else:
        for entry in outputs:
            if entry["type"] == "image":
                entry["push"] = "true"
        if all(entry["type"] == "docker" for entry in outputs):
            outputs.append({"type": "image", "push": "true"})
    target["output"] = outputs


def _set_load(target: Target, field: str, name: str, change: Change) -> None:
    if not _truth(field, change.value):
        return
    outputs = list(target.get("output", ()))
    for entry in outputs:
        kind = entry["type"]
        if (kind == "docker" and not entry.get("dest")) or kind not in (
            *("docker", "image", "registry", "oci"),
        ):
            return
    target["output"] = [*outputs, {"type": "docker"}]


_OVERRIDES: dict[str, Callable[[Target, str, str, Change], None]] = {
    **dict.fromkeys(
        ("context", "dockerfile", "target", "call", "shm-size", "network"), _set_string
    ),
    **dict.fromkeys(MAPS, _set_map),
    **dict.fromkeys(("tags", "platform", "no-cache-filter", "ulimits"), _set_list),
    **dict.fromkeys(("entitlements", "annotations"), _add_list),
    **dict.fromkeys(("cache-from", "cache-to", "secrets", "ssh", "output", "attest"), _set_entries),
    **dict.fromkeys(BOOLS, _set_bool),
    "secret": _set_secret,
    "push": _set_push,
    "load": _set_load,
}

#: Keys of ``--set`` that collect their values.
COLLECTED = frozenset(
    "output cache-to cache-from tags platform secrets ssh attest entitlements network "
    "annotations no-cache-filter ulimits".split()
)


def shown(target: Target) -> dict[str, Any]:
    """A target for ``--print``: fields in order, empty ones left out."""
    out: dict[str, Any] = {}
    for field in SHOWN:
        value = target.get(field)
        if value is None or value == [] or value == {} or (field == "description" and not value):
            continue
        if field in _ESCAPED:
            value = _escaped(value)
        if field in MAPS:
            value = dict(sorted(value.items()))
        elif field in ("cache-from", "cache-to", "output", "attest"):
            value = [_entry(field, entry) for entry in value]
        elif field == "ssh":
            value = [{key: one for key, one in entry.items() if one} for entry in value]
        elif field == "secret":
            value = [
                {key: entry[key] for key in ("id", "src", "env") if entry.get(key)}
                for entry in value
            ]
        out[field] = value
    return out


def _entry(field: str, entry: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = dict(sorted(entry.items()))
    if field == "attest" and "disabled" in found:
        if found["disabled"] != "true":
            del found["disabled"]
        else:
            found["disabled"] = True
    return found


def _escaped(value: Any) -> Any:
    """``${`` and ``%{`` doubled, so that the output is a bake file again."""
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    return {key: _escaped(one) if one is not None else None for key, one in value.items()}
