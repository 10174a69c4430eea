"""Checks and conversions of single flag values of ``run`` and ``create``, in Docker's words.

Every function takes the text of one occurrence and returns what the API wants of it, or
raises ``ValueError`` with the reason.
"""

from __future__ import annotations

import posix
import sys

from pierhead.cli.flags import go_quote, is_ip, parse_bool, parse_bytes, parse_int, split_csv
from pierhead.cli.paths import absolute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ULIMITS = frozenset(
    (
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    )
)


def attach_stream(text: str) -> str:
    """``stdin``, ``stdout`` or ``stderr``, in any case."""
    name = text.lower()
    if name in ("stdin", "stdout", "stderr"):
        return name
    raise ValueError("valid streams are STDIN, STDOUT and STDERR")


def env_name(text: str) -> str:
    """``NAME=value``, or ``NAME`` alone for this process's value, if it has one."""
    name, equals, _ = text.partition("=")
    if not name:
        raise ValueError(f"invalid environment variable: {text}")
    if equals:
        return text
    value = posix.environ.get(name.encode("utf-8", "surrogateescape"))
    if value is None:
        return text
    return f"{name}={value.decode('utf-8', 'surrogateescape')}"


def label(text: str) -> str:
    """``key=value`` or ``key``."""
    if not text.partition("=")[0]:
        raise ValueError(f"invalid label '{text}': empty name")
    return text


def ip_address(text: str) -> str:
    """An IP address."""
    if not is_ip(text.strip()):
        raise ValueError(f"IP address is not correctly formatted: {text}")
    return text.strip()


def add_host(text: str) -> str:
    """``host:ip`` or ``host=ip``; brackets around the address go."""
    name, separator, address = text.partition("=")
    if not separator:
        name, separator, address = text.partition(":")
    if not separator or not name:
        raise ValueError(f"bad format for add-host: {go_quote(text)}")
    if address == "host-gateway":
        return f"{name}:{address}"
    if len(address) > 2 and address[0] == "[" and address[-1] == "]":
        address = address[1:-1]
    if not is_ip(address):
        raise ValueError(f"invalid IP address in add-host: {go_quote(address)}")
    return f"{name}:{address}"


def dns_search(text: str) -> str:
    """A search domain, or ``.`` for none."""
    domain = text.strip(" ")
    if domain == ".":
        return domain
    labels = domain.rstrip().removesuffix(".").split(".")
    for part in labels:
        plain = part.removeprefix(":").replace("-", "")
        if not (plain.isalnum() and plain.isascii()) or part[0] == "-" or part[-1] == "-":
            raise ValueError(f"{text} is not a valid domain")
    if not any(char.isalpha() for char in domain) or len(domain) >= 255:
        raise ValueError(f"{text} is not a valid domain")
    return ".".join(labels)


def link(text: str) -> str:
    """``container`` or ``container:alias``."""
    if not text:
        raise ValueError("empty string specified for links")
    if text.count(":") > 1:
        raise ValueError(f"bad format for links: {text}")
    return text


def _device_and_rest(text: str) -> tuple[str, str]:
    path, colon, rest = text.partition(":")
    if not colon:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, rest


def blkio_weight_device(text: str) -> dict[str, Any]:
    """``/dev/x:weight``, weight 10 to 1000 or 0."""
    path, rest = _device_and_rest(text)
    try:
        weight = parse_int(rest, 16, signed=False)
    except ValueError:
        weight = -1
    if weight != 0 and not 10 <= weight <= 1000:
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": weight}


def throttle_bps(text: str) -> dict[str, Any]:
    """``/dev/x:bytes`` with a unit if wished."""
    path, rest = _device_and_rest(text)
    try:
        rate = parse_bytes(rest)
    except ValueError:
        rate = -1
    if rate < 0:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is "
            "<device-path>:<number>[<unit>]. Number must be a positive integer. "
            "Unit is optional and can be kb, mb, or gb"
        )
    return {"Path": path, "Rate": rate}


def throttle_iops(text: str) -> dict[str, Any]:
    """``/dev/x:operations``."""
    path, rest = _device_and_rest(text)
    try:
        rate = parse_int(rest, 64, signed=False)
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is "
            "<device-path>:<number>. Number must be a positive integer"
        ) from None
    return {"Path": path, "Rate": rate}


def device_rule(text: str) -> str:
    """``c 1:3 rwm``: kind, major:minor or ``*``, permissions."""
    kind, _, rest = text.partition(" ")
    numbers, _, modes = rest.partition(" ")
    major, colon, minor = numbers.partition(":")
    good = (
        kind in ("a", "b", "c")
        and colon
        and all(part == "*" or (part.isascii() and part.isdigit()) for part in (major, minor))
        and 1 <= len(modes) <= 3
        and all(mode in "rwm" for mode in modes)
    )
    if not good:
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def ulimit(text: str) -> dict[str, Any]:
    """``name=soft[:hard]``; -1 is unlimited."""
    name, equals, limits = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = limits.split(":")
    if len(parts) > 2:
        raise ValueError(
            f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`"
        )
    soft = _decimal_int(parts[0])
    hard = _decimal_int(parts[1]) if len(parts) == 2 else soft
    if hard != -1:
        if soft == -1:
            raise ValueError(
                "ulimit soft limit must be less than or equal to hard limit: "
                f"soft: -1 (unlimited), hard: {hard}"
            )
        if soft > hard:
            raise ValueError(
                f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
            )
    return {"Name": name, "Hard": hard, "Soft": soft}


def _decimal_int(text: str) -> int:
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"strconv.ParseInt: parsing {go_quote(text)}: invalid syntax")
    return int(text)


def gpu_request(text: str) -> dict[str, Any]:
    """``all``, a count, or ``driver=,count=,device=,capabilities=,options=``."""
    request: dict[str, Any] = {
        "Driver": "",
        "Count": 0,
        "DeviceIDs": None,
        "Capabilities": [["gpu"]],
        "Options": {},
    }
    seen: set[str] = set()
    for field in split_csv(text):
        key, equals, value = field.partition("=")
        if key in seen:
            raise ValueError(f"gpu request key '{key}' can be specified only once")
        seen.add(key)
        if not equals:
            seen.add("count")
            request["Count"] = _gpu_count(key)
        elif key == "driver":
            request["Driver"] = value
        elif key == "count":
            request["Count"] = _gpu_count(value)
        elif key == "device":
            request["DeviceIDs"] = value.split(",")
        elif key == "capabilities":
            request["Capabilities"] = [[*value.split(","), "gpu"]]
        elif key == "options":
            pairs = (item.partition("=") for item in split_csv(value))
            request["Options"] = {name: item for name, _, item in pairs}
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    if "count" not in seen and request["DeviceIDs"] is None:
        request["Count"] = 1
    return request


def _gpu_count(text: str) -> int:
    if text == "all":
        return -1
    try:
        return _decimal_int(text)
    except ValueError:
        raise ValueError(
            f'invalid count ({text}): value must be either "all" or an integer: invalid syntax'
        ) from None


_RECURSIVE = {
    "enabled": "",
    "disabled": "NonRecursive",
    "writable": "ReadOnlyNonRecursive",
    "readonly": "ReadOnlyForceRecursive",
}


def mount(text: str) -> dict[str, Any]:
    """``--mount``: CSV of ``key=value``, as an API ``Mount``."""
    text = text.strip()
    if not text:
        raise ValueError("EOF")
    result: dict[str, Any] = {"Type": "volume"}
    bind: dict[str, Any] | None = None
    volume: dict[str, Any] | None = None
    image: dict[str, Any] | None = None
    tmpfs: dict[str, Any] | None = None
    for field in split_csv(text):
        key, equals, value = field.partition("=")
        key = key.lower()
        if not equals:
            if key not in (
                "readonly",
                "ro",
                "volume-nocopy",
                "bind-nonrecursive",
                "bind-create-src",
            ):
                raise ValueError(f"invalid field '{field}' must be a key=value pair")
            value = "true"
        if key == "type":
            result["Type"] = value.lower()
        elif key in ("source", "src"):
            result["Source"] = absolute(value) if value == "." or value[:2] == "./" else value
        elif key in ("target", "dst", "destination"):
            result["Target"] = value
        elif key in ("readonly", "ro"):
            result["ReadOnly"] = _boolean(key, value)
        elif key == "consistency":
            result["Consistency"] = value.lower()
        elif key.startswith("bind-"):
            bind = bind or {}
            if key == "bind-propagation":
                bind["Propagation"] = value.lower()
            elif key == "bind-nonrecursive":
                bind["NonRecursive"] = _boolean(key, value)
                sys.stderr.write(
                    "WARNING: bind-nonrecursive is deprecated, "
                    "use bind-recursive=disabled instead\n"
                )
            elif key == "bind-recursive":
                if value not in _RECURSIVE:
                    raise ValueError(
                        f'invalid value for {key}: {value} (must be "enabled", "disabled", '
                        '"writable", or "readonly")'
                    )
                if _RECURSIVE[value]:
                    bind[_RECURSIVE[value]] = True
            elif key == "bind-create-src":
                bind["CreateMountpoint"] = _boolean(key, value)
            else:
                raise ValueError(f"unexpected key '{key}' in '{field}'")
        elif key.startswith("volume-"):
            volume = volume or {}
            if key == "volume-subpath":
                volume["Subpath"] = value
            elif key == "volume-nocopy":
                volume["NoCopy"] = _boolean(key, value)
            elif key == "volume-label":
                name, _, item = value.partition("=")
                volume.setdefault("Labels", {})[name] = item
            elif key == "volume-driver":
                volume.setdefault("DriverConfig", {})["Name"] = value
            elif key == "volume-opt":
                name, _, item = value.partition("=")
                volume.setdefault("DriverConfig", {}).setdefault("Options", {})[name] = item
            else:
                raise ValueError(f"unexpected key '{key}' in '{field}'")
        elif key == "image-subpath":
            image = {"Subpath": value}
        elif key == "tmpfs-size":
            tmpfs = tmpfs or {}
            try:
                tmpfs["SizeBytes"] = parse_bytes(value)
            except ValueError:
                raise ValueError(f"invalid value for {key}: {value}") from None
        elif key == "tmpfs-mode":
            tmpfs = tmpfs or {}
            if not value or not all(digit in "01234567" for digit in value):
                raise ValueError(f"invalid value for {key}: {value}")
            tmpfs["Mode"] = int(value, 8)
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    kind = result["Type"]
    if not kind:
        raise ValueError("type is required")
    if not result.get("Target"):
        raise ValueError("target is required")
    for name, options in (("volume", volume), ("bind", bind), ("image", image), ("tmpfs", tmpfs)):
        if options is None:
            continue
        if kind != name:
            raise ValueError(f"cannot mix '{name}-*' options with mount type '{kind}'")
        result[f"{name.capitalize()}Options"] = options
    if bind is not None:
        for option, name in (
            ("ReadOnlyNonRecursive", "writable"),
            ("ReadOnlyForceRecursive", "readonly"),
        ):
            if bind.get(option) and not result.get("ReadOnly"):
                raise ValueError(
                    f"option 'bind-recursive={name}' requires 'readonly' "
                    "to be specified in conjunction"
                )
        if bind.get("ReadOnlyForceRecursive") and bind.get("Propagation") != "rprivate":
            raise ValueError(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' "
                "to be specified in conjunction"
            )
    return result


def _boolean(key: str, value: str) -> bool:
    try:
        return parse_bool(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def network(text: str) -> dict[str, Any]:
    """``--network``: a name, or CSV of ``name=,alias=,ip=,...``.

    Answers ``{"Target": name}`` and what was given of ``Aliases``, ``IPv4Address``,
    ``IPv6Address``, ``LinkLocalIPs``, ``DriverOpts``, ``MacAddress``, ``GwPriority``.
    """
    before, equals, after = text.partition("=")
    if not (equals and _word(before[-1:]) and _word(after[:1])):
        return {"Target": text}
    result: dict[str, Any] = {}
    for field in split_csv(text):
        key, equals, value = field.lower().partition("=")
        if not equals or not key:
            raise ValueError(f"invalid field {field}")
        key, value = key.strip(), value.strip()
        if key == "name":
            result["Target"] = value
        elif key == "alias":
            result.setdefault("Aliases", []).append(value)
        elif key == "ip":
            result["IPv4Address"] = value
        elif key == "ip6":
            result["IPv6Address"] = value
        elif key == "mac-address":
            result["MacAddress"] = value
        elif key == "link-local-ip":
            result.setdefault("LinkLocalIPs", []).append(value)
        elif key == "driver-opt":
            name, equals, item = value.partition("=")
            if not equals or not name:
                raise ValueError("invalid key value pair format in driver options")
            result.setdefault("DriverOpts", {})[name.strip()] = item.strip()
        elif key == "gw-priority":
            try:
                result["GwPriority"] = _decimal_int(value)
            except ValueError:
                raise ValueError(f"invalid gw-priority ({value}): invalid syntax") from None
        else:
            raise ValueError(f"invalid field key {key}")
    if not result.get("Target"):
        raise ValueError("network name/id is not specified")
    return result


def _word(char: str) -> bool:
    return char == "_" or (char.isascii() and char.isalnum())


def mac_address(text: str) -> bool:
    """Whether it is a MAC address (6, 8 or 20 bytes; colons, dashes or dots)."""
    if text.count(".") > 1 and ":" not in text:
        parts, size = text.split("."), 4
    else:
        parts, size = text.replace("-", ":").split(":"), 2
    good = all(
        len(part) == size and all(char in "0123456789abcdefABCDEF" for char in part)
        for part in parts
    )
    return good and len(parts) * size // 2 in (6, 8, 20)


_SYSCTLS = frozenset(
    f"kernel.{name}"
    for name in (
        "msgmax",
        "msgmnb",
        "msgmni",
        "sem",
        "shmall",
        "shmmax",
        "shmmni",
        "shm_rmid_forced",
    )
)


def sysctl(text: str) -> str:
    """``name=value`` for a parameter that belongs to a namespace."""
    name, equals, _ = text.partition("=")
    if not equals or not (name in _SYSCTLS or name.startswith(("net.", "fs.mqueue."))):
        raise ValueError(f"sysctl '{text}' is not allowed")
    return text
