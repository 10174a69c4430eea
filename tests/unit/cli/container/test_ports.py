from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.container.ports import parse_expose, parse_publish, standard_notation


def one(port: str, address: str = "", host: str = "") -> dict[str, Any]:
    return {port: [{"HostIp": address, "HostPort": host}]}


@pytest.mark.parametrize(
    ("spec", "bindings"),
    [
        ("80", one("80/tcp")),
        ("8080:80", one("80/tcp", "", "8080")),
        ("127.0.0.1:8080:80/udp", one("80/udp", "127.0.0.1", "8080")),
        ("127.0.0.1::80", one("80/tcp", "127.0.0.1")),
        ("[::1]:8080:80/SCTP", one("80/sctp", "::1", "8080")),
        ("::1:8080:80", one("80/tcp", "::1", "8080")),
        ("8000-8010:80", one("80/tcp", "", "8000-8010")),
        ("1-2:3-4", {**one("3/tcp", "", "1"), **one("4/tcp", "", "2")}),
        ("3-4", {**one("3/tcp"), **one("4/tcp")}),
        ("target=80,published=8080,protocol=udp", one("80/udp", "", "8080")),
    ],
)
def test_publish(spec: str, bindings: dict[str, Any]) -> None:
    assert parse_publish([spec]) == ({port: {} for port in bindings}, bindings)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "no port specified: <empty>"),
        ("80:", "no port specified: 80:<empty>"),
        ("x", "invalid containerPort: x"),
        ("70000", "invalid containerPort: 70000"),
        ("x:80", "invalid hostPort: x"),
        ("1.2.3:80:80", "invalid IP address: 1.2.3"),
        ("80/foo", "invalid proto: foo"),
        ("1-3:4-5", "invalid ranges specified for container and host Ports: 4-5 and 1-3"),
        ("target", "invalid containerPort: target"),
        ("a=b,c", "invalid publish opts format (should be name=value but got 'c')"),
    ],
)
def test_no_publish(spec: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_publish([spec])
    assert str(caught.value) == message


def test_several_bindings_of_a_port() -> None:
    _, bindings = parse_publish(["1:80", "2:80"])
    assert [item["HostPort"] for item in bindings["80/tcp"]] == ["1", "2"]


def test_expose() -> None:
    exposed: dict[str, dict[str, Any]] = {"80/tcp": {}}
    parse_expose(["80", "81-82/udp"], exposed)
    assert sorted(exposed) == ["80/tcp", "81/udp", "82/udp"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("80:90", "invalid port format for --expose: 80:90"),
        ("x", 'invalid range format for --expose: x, error: strconv.ParseUint: parsing "x"'),
        ("2-1", "error: invalid range specified for port: 2-1"),
    ],
)
def test_no_expose(spec: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_expose([spec], {})
    assert message in str(caught.value)


def test_the_long_form() -> None:
    assert standard_notation("target=80") == ":80/tcp"
    assert standard_notation("1:2") == "1:2"
