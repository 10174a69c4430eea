from __future__ import annotations

import pytest

from pierhead.cli.network.addresses import check_ip, contains, parse_cidr, parse_ip


def test_parse() -> None:
    assert parse_ip("10.0.0.1") == (0x0A000001, 32)
    assert parse_ip("::1") == (1, 128)
    assert parse_ip("10.0.0") is None
    assert parse_cidr("10.0.0.0/8") == (0x0A000000, 32, 8)
    with pytest.raises(ValueError, match=r"invalid CIDR address: 10.0.0.0/33"):
        parse_cidr("10.0.0.0/33")


def test_contains() -> None:
    assert contains("10.0.0.0/8", "10.1.2.3")
    assert contains("10.0.0.0/8", "10.1.0.0/16")
    assert not contains("10.0.0.0/8", "11.0.0.1")
    assert not contains("10.0.0.0/8", "::1")
    assert not contains("10.0.0.0/8", "nonsense")
    assert contains("fd00::/64", "fd00::5")
    with pytest.raises(ValueError, match="invalid subnet: invalid CIDR address: x"):
        contains("x", "10.0.0.1")


def test_flag() -> None:
    assert check_ip("10.0.0.1") == "10.0.0.1"
    with pytest.raises(ValueError, match="failed to parse IP"):
        check_ip("x")
