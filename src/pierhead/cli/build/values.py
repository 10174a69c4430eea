"""What stands in the flags of a build: outputs, caches, attestations, secrets, ssh. Pure.

Names, shorthands and complaints are those of buildx; bake files have the same strings, and
the same as objects. Every function raises ``ValueError`` with buildx's text.
"""

from __future__ import annotations

from pierhead.cli.flags import go_quote, parse_bool, split_csv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    #: ``type`` and attributes, as in JSON
    Attributes = dict[str, str]


def key_values(values: Iterable[str], environment: Mapping[str, str] | None) -> dict[str, str]:
    """``KEY=value``; a lone ``KEY`` has its value from ``environment`` or is left out.

    Without ``environment`` a lone key has the empty value.
    """
    found: dict[str, str] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not key:
            raise ValueError(f"invalid key-value pair {go_quote(text)}: empty key")
        if equals:
            found[key] = value
        elif environment is None:
            found[key] = ""
        elif key in environment:
            found[key] = environment[key]
    return found


def output(text: str) -> Attributes:
    """One ``--output``: ``dest`` alone, ``-``, or ``type=...,key=value``."""
    fields = split_csv(text)
    if len(fields) == 1 and fields[0] == text and not text.startswith("type="):
        return {"type": "tar" if text == "-" else "local", "dest": text}
    found: Attributes = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise ValueError(f"invalid value {field}")
        found[key.lower().strip()] = value
    if not found.get("type"):
        raise ValueError("type is required for output")
    return found


def outputs(values: Iterable[str]) -> list[Attributes]:
    """All of ``--output``; empty ones are none."""
    return [output(text) for text in values if text]


def cache_entries(values: Iterable[str]) -> list[Attributes]:
    """``--cache-from`` and ``--cache-to``: references, or ``type=...``."""
    found: list[Attributes] = []
    for text in values:
        if not text:
            continue
        fields = split_csv(text)
        if "=" not in text:
            found += [{"type": "registry", "ref": field} for field in fields]
            continue
        entry: Attributes = {}
        for field in fields:
            key, equals, value = field.partition("=")
            if not equals:
                raise ValueError(f"invalid value {field}")
            entry[key.lower()] = value
        if not entry.get("type"):
            raise ValueError(f"type required for {go_quote(text)}")
        found.append(entry)
    return found


def attestation(text: str) -> dict[str, str]:
    """One ``--attest``; ``disabled`` is ``"true"`` or missing."""
    found: Attributes = {}
    for field in split_csv(text):
        key, equals, value = field.partition("=")
        if not equals:
            raise ValueError(f"invalid value {field}")
        name = key.lower().strip()
        if name == "disabled":
            try:
                if parse_bool(value):
                    found["disabled"] = "true"
            except ValueError as error:
                raise ValueError(f"invalid value {field}: {error}") from None
        else:
            found["type" if name == "type" else key] = value
    if not found.get("type"):
        raise ValueError("attestation type not specified")
    return found


def attestation_flag(kind: str, text: str) -> str:
    """``--provenance`` and ``--sbom`` as an ``--attest``: a boolean or attributes."""
    try:
        return f"type={kind},disabled={'false' if parse_bool(text) else 'true'}"
    except ValueError:
        return f"type={kind},{text}"


def attestations(values: Iterable[str]) -> dict[str, dict[str, str] | None]:
    """Kind → attributes, ``None`` where it is switched off. The first one of a kind counts."""
    found: dict[str, dict[str, str] | None] = {}
    for text in values:
        entry = attestation(text)
        kind = entry.pop("type")
        if kind not in found:
            found[kind] = None if entry.pop("disabled", "") else entry
    return found


def secret(text: str) -> Attributes:
    """One ``--secret``: ``id``, and ``src`` or ``env``."""
    found: Attributes = {}
    kind = ""
    try:
        fields = split_csv(text)
    except ValueError as error:
        raise ValueError(f"failed to parse csv secret: {error}") from None
    for field in fields:
        key, equals, value = field.partition("=")
        key = key.lower()
        if not equals:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        if key == "type":
            if value not in ("file", "env"):
                raise ValueError(f"unsupported secret type {go_quote(value)}")
            kind = value
        elif key == "id":
            found["id"] = value
        elif key in ("src", "source"):
            found["src"] = value
        elif key == "env":
            found["env"] = value
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    if kind == "env" and not found.get("env"):
        found["env"] = found.pop("src", "")
    return found


def ssh(text: str) -> dict[str, object]:
    """One ``--ssh``: an id and where its agent or keys are; none is ``SSH_AUTH_SOCK``."""
    name, equals, paths = text.partition("=")
    return {"id": name, "paths": paths.split(",") if equals else []}


_ANNOTATION_TYPES = ("index", "index-descriptor", "manifest", "manifest-descriptor")


def annotation_keys(values: Iterable[str]) -> dict[str, str]:
    """``[TYPE[PLATFORM],...:]KEY=value``, checked; the keys as they were given."""
    found: dict[str, str] = {}
    for text in values:
        if not text:
            continue
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"invalid annotation {go_quote(text)}, expected key=value")
        types, colon, name = key.partition(":")
        for one in types.split(",") if colon else ():
            kind, bracket, platform = one.partition("[")
            if (bracket and not platform.endswith("]")) or not kind.replace("-", "").isalpha():
                raise ValueError(
                    f"invalid annotation type {go_quote(one)}, expected type and optional "
                    "platform in square brackets"
                )
            if kind not in _ANNOTATION_TYPES:
                raise ValueError(f"unknown annotation type {go_quote(kind)}")
        found[f"{types}:{name}" if colon else key] = value
    return found


def contexts(values: Iterable[str]) -> dict[str, str]:
    """``--build-context``: name → where it is. Names are references, ``:latest`` left off."""
    found: dict[str, str] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"invalid context value: {text}, expected key=value")
        found[name.removesuffix(":latest")] = value
    return found


def hosts(values: Iterable[str]) -> list[list[str]]:
    """``--add-host``: name and address pairs. ``host-gateway`` stays for the daemon."""
    from pierhead.cli.flags import is_ip

    found: list[list[str]] = []
    for text in values:
        name, equals, addresses = text.partition("=")
        if not equals:
            name, equals, addresses = text.partition(":")
        if not equals or not name or not addresses:
            raise ValueError(f"invalid host {text}")
        if addresses == "host-gateway":
            found.append([name, addresses])
            continue
        for address in addresses.split(","):
            if len(address) > 2 and address[0] == "[" and address[-1] == "]":
                address = address[1:-1]
            if not is_ip(address):
                raise ValueError(f"invalid host {text}")
            found.append([name, address])
    return found


def ulimits(values: Iterable[str]) -> list[list[object]]:
    """``name=soft[:hard]`` as triples."""
    found: list[list[object]] = []
    for text in values:
        name, equals, limits = text.partition("=")
        soft, colon, hard = limits.partition(":")
        if not equals:
            raise ValueError(f"invalid ulimit argument: {text}")
        try:
            low = int(soft)
            high = int(hard) if colon else low
        except ValueError:
            raise ValueError(f"invalid ulimit argument: {text}") from None
        if high != -1 and (low > high or low == -1):
            raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {text}")
        found.append([name, low, high])
    return found


_CALLS = ("build", "lint", "outline", "targets")


def call(text: str) -> dict[str, str]:
    """``--call``: ``name`` (``lint`` for ``check``), ``format``, ``ignorestatus``."""
    found = {"name": "", "format": "", "ignorestatus": ""}
    for field in split_csv(text):
        key, equals, value = field.partition("=")
        if not equals:
            if found["name"]:
                raise ValueError(f"invalid print value: {text}")
            found["name"] = field
        elif key == "format":
            found["format"] = value
        elif key == "ignorestatus":
            try:
                found["ignorestatus"] = "true" if parse_bool(value) else ""
            except ValueError:
                raise ValueError(f"invalid ignorestatus print value: {value}") from None
        else:
            raise ValueError(f"invalid print field: {field}")
    found["name"] = {"check": "lint", "": "build"}.get(found["name"], found["name"])
    if found["name"] not in _CALLS:
        raise ValueError(f"unknown print function: {found['name']}")
    return found
