"""Functions of bake files on numbers, truth values, versions and addresses.

They raise ``ValueProblem``.
"""

from __future__ import annotations

import ipaddress
import math
import re

from pierhead.cli.bake.hcl.values import ValueProblem, number, same, to_bool, to_number, to_string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _divide(left: Any, right: Any) -> Any:
    a, b = to_number(left), to_number(right)
    if b == 0:
        raise ValueProblem("divide by zero")
    return a // b if isinstance(a, int) and isinstance(b, int) and a % b == 0 else number(a / b)


def _modulo(left: Any, right: Any) -> Any:
    a, b = to_number(left), to_number(right)
    if b == 0:
        raise ValueProblem("divide by zero")
    return number(math.fmod(a, b))


def _log(value: Any, base: Any) -> Any:
    try:
        return number(math.log(to_number(value)) / math.log(to_number(base)))
    except (ValueError, ZeroDivisionError) as error:
        raise ValueProblem(str(error)) from None


def _parseint(text: Any, base: Any) -> int:
    try:
        return int(to_string(text), int(to_number(base)))
    except ValueError:
        raise ValueProblem(
            f'cannot parse "{to_string(text)}" as a base {to_string(base)} integer'
        ) from None


def _signum(value: Any) -> int:
    amount = to_number(value)
    return (amount > 0) - (amount < 0)


def _least(*values: Any) -> Any:
    if not values:
        raise ValueProblem("must pass at least one number")
    return min(map(to_number, values))


def _most(*values: Any) -> Any:
    if not values:
        raise ValueProblem("must pass at least one number")
    return max(map(to_number, values))


# Versions


class _Version:
    """``1.2.3-rc.1``; missing parts are 0."""

    _FORM = re.compile(
        r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
    )

    def __init__(self, text: str) -> None:
        found = self._FORM.fullmatch(text.strip())
        if found is None:
            raise ValueProblem("invalid semantic version")
        self.numbers = tuple(int(part or 0) for part in found.groups()[:3])
        self.given = sum(part is not None for part in found.groups()[:3])
        self.pre = found[4] or ""

    def key(self) -> tuple[Any, ...]:
        """For comparison: a pre-release comes before its release."""
        parts = [
            (0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.pre.split(".")
        ]
        return (*self.numbers, not self.pre, parts if self.pre else [])


def semvercmp(version: Any, constraint: Any) -> bool:
    """Whether a version fits: ``>= 1.2, < 2``, ``^1.2``, ``~1.2.3``, ``1.x``, ``a || b``."""
    wanted = _Version(to_string(version))
    return any(
        all(_fits(wanted, part) for part in _split(option))
        for option in to_string(constraint).split("||")
    )


def _split(option: str) -> list[str]:
    hyphen = re.fullmatch(r"\s*(\S+)\s+-\s+(\S+)\s*", option)
    if hyphen:
        return [f">={hyphen[1]}", f"<={hyphen[2]}"]
    tight = re.sub(r"([<>=!~^])\s+", r"\1", option.strip())
    return [part for part in re.split(r"[,\s]+", tight) if part] or ["*"]


def _fits(version: _Version, part: str) -> bool:
    found = re.fullmatch(r"(=|==|!=|>=|=>|<=|=<|>|<|~|~>|\^)?\s*([v\d*xX][^\s]*)?", part.strip())
    if found is None:
        raise ValueProblem(f"improper constraint: {part}")
    operator, text = found[1] or "", found[2] or "*"
    wild = re.split(r"[*xX]", text.lstrip("v"))[0].rstrip(".")
    if not wild:
        return True
    limit = _Version(wild)
    if version.pre and not limit.pre:
        return False
    have, least = version.key(), limit.key()
    if operator in ("", "=", "=="):
        if limit.given == 3:
            return have == least
        return version.numbers[: limit.given] == limit.numbers[: limit.given]
    if operator == "!=":
        return version.numbers[: limit.given] != limit.numbers[: limit.given] or (
            version.pre != limit.pre
        )
    if operator in (">=", "=>"):
        return have >= least
    if operator == "<":
        return have < least
    if operator in ("<=", "=<"):
        return have <= least or version.numbers[: limit.given] == limit.numbers[: limit.given]
    if operator == ">":
        return have > least and (
            limit.given == 3 or version.numbers[: limit.given] != limit.numbers[: limit.given]
        )
    if operator in ("~", "~>"):
        kept = min(limit.given, 2)
        return have >= least and version.numbers[:kept] == limit.numbers[:kept]
    first = next((at for at, one in enumerate(limit.numbers) if one), limit.given - 1)
    return have >= least and version.numbers[: first + 1] == limit.numbers[: first + 1]


# Addresses


def _network(prefix: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(to_string(prefix), strict=False)
    except ValueError as error:
        raise ValueProblem(f"invalid CIDR expression: {error}") from None


def _cidrhost(prefix: Any, host: Any) -> str:
    network, index = _network(prefix), int(to_number(host))
    try:
        return str(network[index])
    except IndexError:
        raise ValueProblem(
            f"prefix of {network.prefixlen} does not accommodate a host numbered {index}"
        ) from None


def _subnet(network: Any, newbits: int, index: int) -> Any:
    length = network.prefixlen + newbits
    if length > network.max_prefixlen or not 0 <= index < 1 << newbits:
        raise ValueProblem(f"insufficient address space to extend prefix by {newbits}")
    base = int(network.network_address) + (index << (network.max_prefixlen - length))
    return type(network)((base, length))


def _cidrsubnet(prefix: Any, newbits: Any, index: Any) -> str:
    return str(_subnet(_network(prefix), int(to_number(newbits)), int(to_number(index))))


def _cidrsubnets(prefix: Any, *newbits: Any) -> list[str]:
    network = _network(prefix)
    at = int(network.network_address)
    found: list[str] = []
    for bits in newbits:
        length = network.prefixlen + int(to_number(bits))
        if length > network.max_prefixlen:
            raise ValueProblem("not enough remaining address space")
        size = 1 << (network.max_prefixlen - length)
        at = -(-at // size) * size
        if at + size > int(network.broadcast_address) + 1:
            raise ValueProblem("not enough remaining address space")
        found.append(str(type(network)((at, length))))
        at += size
    return found


NUMBERS: dict[str, Callable[..., Any]] = {
    "absolute": lambda value: abs(to_number(value)),
    "add": lambda a, b: number(to_number(a) + to_number(b)),
    "and": lambda a, b: to_bool(a) and to_bool(b),
    "ceil": lambda value: math.ceil(to_number(value)),
    "cidrhost": _cidrhost,
    "cidrnetmask": lambda prefix: str(_network(prefix).netmask),
    "cidrsubnet": _cidrsubnet,
    "cidrsubnets": _cidrsubnets,
    "divide": _divide,
    "equal": same,
    "floor": lambda value: math.floor(to_number(value)),
    "greaterthan": lambda a, b: to_number(a) > to_number(b),
    "greaterthanorequalto": lambda a, b: to_number(a) >= to_number(b),
    "int": lambda value: int(to_number(value)),
    "lessthan": lambda a, b: to_number(a) < to_number(b),
    "lessthanorequalto": lambda a, b: to_number(a) <= to_number(b),
    "log": _log,
    "max": _most,
    "min": _least,
    "modulo": _modulo,
    "multiply": lambda a, b: number(to_number(a) * to_number(b)),
    "negate": lambda value: -to_number(value),
    "not": lambda value: not to_bool(value),
    "notequal": lambda a, b: not same(a, b),
    "or": lambda a, b: to_bool(a) or to_bool(b),
    "parseint": _parseint,
    "pow": lambda a, b: number(to_number(a) ** to_number(b)),
    "semvercmp": semvercmp,
    "signum": _signum,
    "subtract": lambda a, b: number(to_number(a) - to_number(b)),
}
