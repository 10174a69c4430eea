"""Values of options: from the text of a flag and from daemon.json to one form."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from typing import Any, Final

from pierhead.daemon.options import Option

_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKmMgGtTpP])?(?:[iI]?[bB])?")
_FACTORS: Final = {"k": 10, "m": 20, "g": 30, "t": 40, "p": 50}


def from_flag(option: Option, text: str, before: Any) -> Any:
    """The value of a flag given as ``text``; ``before`` is what earlier ones of it made.

    Raises ``ValueError`` with the reason.
    """
    match option.kind:
        case "bool":
            return parse_bool(text)
        case "int":
            return parse_int(text)
        case "size":
            return parse_size(text)
        case "list":
            return [*(before or []), text]
        case "map":
            return {**(before or {}), **_pair(text)}
        case "maplist":
            earlier: dict[str, list[str]] = before or {}
            ((name, item),) = _pair(text).items()
            return {**earlier, name: [*earlier.get(name, ()), item]}
        case "runtimes":
            return {**(before or {}), **_pair(text)}
        case "ulimits":
            return {**(before or {}), **parse_ulimit(text)}
        case "pools":
            return [*(before or []), parse_pool(text)]
    return _choice(option, text)


def from_json(option: Option, value: Any) -> Any:
    """The value of a key of daemon.json. Raises ``ValueError`` with the reason."""
    match option.kind:
        case "any":
            return value
        case "bool":
            return _typed(value, bool, "true or false")
        case "int":
            return _typed(value, int, "an integer")
        case "size":
            return value if isinstance(value, int) else parse_size(_typed(value, str, "a size"))
        case "list":
            items = _typed(value, list, "a list of strings")
            return [_typed(item, str, "a list of strings") for item in items]
        case "map":
            pairs = _typed(value, dict, "an object of strings")
            return {key: _typed(item, str, "an object of strings") for key, item in pairs.items()}
        case "maplist":
            words = "an object of lists of strings"
            return {
                key: [_typed(item, str, words) for item in _typed(items, list, words)]
                for key, items in _typed(value, dict, words).items()
            }
        case "runtimes":
            return _runtimes(value)
        case "ulimits":
            return _ulimits(value)
        case "pools":
            return [_pool_of(item) for item in _typed(value, list, "a list of pools")]
    return _choice(option, _typed(value, str, "a string"))


def parse_bool(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def parse_int(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError(f"{text!r} is not an integer")
    return int(text)


def parse_size(text: str) -> int:
    """``64M`` → 67108864, as docker's go-units reads it (binary factors)."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"invalid size: {text!r}")
    return int(float(match[1]) * (1 << _FACTORS.get((match[2] or "").lower(), 0)))


def parse_ulimit(text: str) -> dict[str, tuple[int, int]]:
    """``nofile=1024:2048`` → ``{"nofile": (1024, 2048)}``."""
    name, equals, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    if not equals or not name:
        raise ValueError(f"invalid ulimit argument: {text!r}, expected name=soft[:hard]")
    low = parse_int(soft)
    high = parse_int(hard) if hard else low
    if high != -1 and (low > high or low == -1):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {text}")
    return {name: (low, high)}


def parse_pool(text: str) -> tuple[str, int]:
    """``base=172.80.0.0/16,size=24`` → ``("172.80.0.0/16", 24)``."""
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    if set(parts) != {"base", "size"}:
        raise ValueError(f"invalid address pool {text!r}, expected base=<network>,size=<prefix>")
    return _pool(parts["base"], parse_int(parts["size"]))


def parse_builder(value: object) -> tuple[bool, int]:
    """``builder`` of daemon.json: whether the build cache is bounded, and to how many bytes.

    0 bytes: a tenth of the disk. ``ValueError`` for what isn't dockerd's form. Its ``policy``
    and ``entitlements`` are taken; builds get by without the first, the client names the other.
    """
    if not value:
        return True, 0
    if not isinstance(value, dict):
        raise ValueError("expected an object")
    gc = value.get("gc") or {}
    if not isinstance(gc, dict):
        raise ValueError("gc: expected an object")
    unknown = set(value) - {"gc", "entitlements", "history"}
    unknown |= set(gc) - {
        "enabled", "policy", "defaultKeepStorage", "defaultReservedSpace", "defaultMaxUsedSpace",
        "defaultMinFreeSpace",
    }  # fmt: skip
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: unknown")
    limit = (
        gc.get("defaultMaxUsedSpace")
        or gc.get("defaultReservedSpace")
        or gc.get("defaultKeepStorage")
    )
    return gc.get("enabled", True) is not False, parse_size(str(limit)) if limit else 0


def check_builder(value: object) -> None:
    """``builder``. Raises ``ValueError``."""
    parse_builder(value)


def check_address(text: str) -> None:
    """``--ip`` and gateways. Raises ``ValueError``."""
    ipaddress.ip_address(text)


def check_mirror(text: str) -> None:
    """``--registry-mirror``: the URL of a registry. Raises ``ValueError``."""
    url = urllib.parse.urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f'invalid mirror: {text!r} is no URL like "https://mirror.example"')
    if url.query or url.fragment or "@" in url.netloc:
        raise ValueError(
            f"invalid mirror: {url.scheme}://{url.hostname}: a user, a query and a fragment are "
            "not allowed"
        )


def check_registry(text: str) -> None:
    """``--insecure-registry``: a host with or without port, or a network. ``ValueError``."""
    if "://" in text or not text or text.startswith("-") or " " in text:
        raise ValueError(f"insecure registry {text!r} is no host[:port] and no network")
    if "/" in text:
        ipaddress.ip_network(text, strict=False)


def check_interface(text: str) -> None:
    """``--bip``: an address with its prefix. Raises ``ValueError``."""
    interface = ipaddress.ip_interface(text)
    if "/" not in text or interface.ip == interface.network.network_address:
        raise ValueError(f"{text!r} is not a host's address with a prefix length, like 10.0.0.1/24")


def check_label(text: str) -> None:
    """``--label``. Raises ``ValueError``."""
    name, equals, _ = text.partition("=")
    if not equals or not name or any(space in name for space in " \t\n"):
        raise ValueError(f"bad attribute format: {text}, expected key=value")


def _pool(base: str, size: int) -> tuple[str, int]:
    network = ipaddress.ip_network(base, strict=False)
    if not network.prefixlen <= size <= network.max_prefixlen:
        raise ValueError(f"invalid address pool size {size} for {base}")
    return str(network), size


def _pool_of(value: Any) -> tuple[str, int]:
    item = _typed(value, dict, "a list of objects with base and size")
    if set(item) != {"base", "size"}:
        raise ValueError("expected a list of objects with base and size")
    return _pool(_typed(item["base"], str, "a network"), _typed(item["size"], int, "a size"))


def _pair(text: str) -> dict[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{text!r} is not of the form name=value")
    return {name: value}


def _runtimes(value: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, item in _typed(value, dict, "an object of runtimes").items():
        runtime = _typed(item, dict, 'an object like {"path": "/usr/bin/runc"}')
        path = runtime.get("path")
        if not isinstance(path, str) or not path:
            raise ValueError(f"runtime {name} needs a path")
        if set(runtime) - {"path"}:
            raise ValueError(f"runtime {name}: only path is supported")
        found[name] = path
    return found


def _ulimits(value: Any) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for name, item in _typed(value, dict, "an object of ulimits").items():
        limits = {key.lower(): number for key, number in _typed(item, dict, "an object").items()}
        hard, soft = limits.get("hard"), limits.get("soft")
        if not isinstance(hard, int) or not isinstance(soft, int):
            raise ValueError(f"ulimit {name} needs integers Hard and Soft")
        found[name] = (soft, hard)
    return found


def _typed(value: Any, type_: type, words: str) -> Any:
    if not isinstance(value, type_) or (type_ is int and isinstance(value, bool)):
        raise ValueError(f"expected {words}")
    return value


def _choice(option: Option, text: str) -> str:
    if option.choices and text not in option.choices:
        listed = ", ".join(choice or '""' for choice in option.choices)
        raise ValueError(f"{text!r} is none of {listed}")
    return text
