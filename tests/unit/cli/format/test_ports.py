from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.format.ports import display_ports


def port(private: int, public: int = 0, ip: str = "", kind: str = "tcp") -> dict[str, Any]:
    return {"PrivatePort": private, "PublicPort": public, "IP": ip, "Type": kind}


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([port(80)], "80/tcp"),
        ([port(80, 80, "0.0.0.0")], "0.0.0.0:80->80/tcp"),
        ([port(80, 8080, "0.0.0.0")], "0.0.0.0:8080->80/tcp"),
        ([port(80, 8080, "::")], "[::]:8080->80/tcp"),
        ([port(82), port(80), port(81)], "80-82/tcp"),
        ([port(80), port(82)], "80/tcp, 82/tcp"),
        ([port(n, n, "0.0.0.0") for n in (80, 81)], "0.0.0.0:80-81->80-81/tcp"),
        ([port(80, 8080, "0.0.0.0"), port(443)], "443/tcp, 0.0.0.0:8080->80/tcp"),
        ([port(53, kind="udp"), port(53)], "53/tcp, 53/udp"),
        ([port(9, 9, "1.1.1.1", "udp"), port(9)], "9/tcp, 1.1.1.1:9->9/udp"),
    ],
)
def test_ports(ports: list[dict[str, Any]], text: str) -> None:
    assert display_ports(ports) == text
