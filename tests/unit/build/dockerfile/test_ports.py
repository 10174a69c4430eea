from __future__ import annotations

import pytest

from pierhead.build.dockerfile import ports


def test_exposed() -> None:
    assert ports.exposed(["80", "53/UDP", "8000-8002/tcp", "0/sctp"]) == [
        "80/tcp",
        "53/udp",
        "8000/tcp",
        "8001/tcp",
        "8002/tcp",
        "0/sctp",
    ]
    assert ports.exposed(["127.0.0.1:8080:80", "[::1]:8080:81", "8080:82"]) == [
        "80/tcp",
        "81/tcp",
        "82/tcp",
    ]


def test_oddities_are_told() -> None:
    assert ports.parse("80/TCP").odd_case
    assert ports.parse("1:2").maps
    assert not ports.parse("80").maps


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("", 'invalid port: "": no port specified'),
        ("80/foo", 'invalid port: "80/foo": invalid proto: foo'),
        ("x", "invalid containerPort: x"),
        ("70000", "invalid containerPort: 70000"),
        ("9-8", "invalid containerPort: 9-8"),
        ("x:80", "invalid hostPort: x"),
        ("1-2:3-5", "invalid ranges specified for container and host Ports: 3-5 and 1-2"),
        ("1.2.3:1:2", "invalid IP address: 1.2.3"),
        ("9" * 5000, "invalid containerPort"),
    ],
)
def test_faults(word: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        ports.parse(word)
    assert message in str(caught.value)
