from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.bake.hcl.number_functions import NUMBERS, semvercmp
from pierhead.cli.bake.hcl.values import ValueProblem


@pytest.mark.parametrize(
    ("name", "arguments", "found"),
    [
        ("absolute", (-3,), 3),
        ("add", (1, "2"), 3),
        ("subtract", (1, 2), -1),
        ("multiply", (2, 3), 6),
        ("divide", (10, 4), 2.5),
        ("divide", (10, 5), 2),
        ("modulo", (7, 3), 1),
        ("negate", (1,), -1),
        ("ceil", (1.2,), 2),
        ("floor", (1.8,), 1),
        ("int", (1.8,), 1),
        ("log", (8, 2), 3),
        ("pow", (2, 3), 8),
        ("signum", (-5,), -1),
        ("min", (3, 1, 2), 1),
        ("max", (3, 1, 2), 3),
        ("parseint", ("ff", 16), 255),
        ("and", (True, False), False),
        ("or", (True, "false"), True),
        ("not", ("true",), False),
        ("equal", (1, 1), True),
        ("notequal", (1, "1"), True),
        ("greaterthan", (2, 1), True),
        ("greaterthanorequalto", (1, 1), True),
        ("lessthan", (2, 1), False),
        ("lessthanorequalto", (1, 1), True),
        ("cidrhost", ("10.0.0.0/8", 5), "10.0.0.5"),
        ("cidrhost", ("10.0.0.0/8", -1), "10.255.255.255"),
        ("cidrnetmask", ("10.0.0.0/12",), "255.240.0.0"),
        ("cidrsubnet", ("10.0.0.0/8", 8, 3), "10.3.0.0/16"),
        (
            "cidrsubnets",
            ("10.1.0.0/16", 4, 4, 8, 4),
            ["10.1.0.0/20", "10.1.16.0/20", "10.1.32.0/24", "10.1.48.0/20"],
        ),
    ],
)
def test_functions(name: str, arguments: tuple[Any, ...], found: Any) -> None:
    assert NUMBERS[name](*arguments) == found


@pytest.mark.parametrize(
    ("version", "constraint", "fits"),
    [
        ("1.2.3", "^1.1", True),
        ("2.0.0", "^1.1", False),
        ("0.3.0", "^0.2.3", False),
        ("0.2.9", "^0.2.3", True),
        ("1.2.9", "~1.2.3", True),
        ("1.3.0", "~1.2.3", False),
        ("1.9.0", "~1", True),
        ("1.2.3", ">= 1.2, < 2", True),
        ("1.2.3", ">=1.2 <1.2.3", False),
        ("v1.2.3", "1.2.x", True),
        ("1.2.3", "2.x || 1.x", True),
        ("1.2.3", "*", True),
        ("1.2.3", "1.0 - 2.0", True),
        ("1.2.3", "!=1.2.3", False),
        ("1.2.3-rc.1", ">=1.2", False),
        ("1.2.3-rc.1", ">=1.2.3-alpha", True),
        ("1.2.3", "=1.2.3", True),
        ("1.2.4", ">1.2", False),
        ("1.2.4", "<=1.2", True),
    ],
)
def test_versions(version: str, constraint: str, fits: bool) -> None:
    assert semvercmp(version, constraint) is fits


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("divide", (1, 0)),
        ("modulo", (1, 0)),
        ("log", (0, 2)),
        ("parseint", ("x", 10)),
        ("min", ()),
        ("max", ()),
        ("add", ("x", 1)),
        ("cidrhost", ("x", 1)),
        ("cidrhost", ("10.0.0.0/30", 9)),
        ("cidrsubnet", ("10.0.0.0/30", 8, 1)),
        ("cidrsubnets", ("10.0.0.0/30", 1, 1, 1)),
        ("semvercmp", ("x", "*.y.z")),
    ],
)
def test_refusals(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueProblem):
        NUMBERS[name](*arguments)
