from __future__ import annotations

import pytest

from support.fake_cli import run

NETWORKS = [
    {
        "Id": "bbbbbbbbbbbbbbbbbbbb",
        "Name": "net10",
        "Driver": "bridge",
        "Scope": "local",
        "EnableIPv4": True,
        "Labels": {"b": "2", "a": "1"},
        "Created": "2026-05-07T21:09:36.5Z",
    },
    {"Id": "aaaaaaaaaaaaaaaaaaaa", "Name": "net2", "Driver": "null", "Scope": "local"},
]


@pytest.mark.parametrize(
    ("line", "out"),
    [
        (
            "network ls",
            "NETWORK ID     NAME      DRIVER    SCOPE\n"
            "aaaaaaaaaaaa   net2      null      local\n"
            "bbbbbbbbbbbb   net10     bridge    local\n",
        ),
        ("network ls -q --no-trunc", "aaaaaaaaaaaaaaaaaaaa\nbbbbbbbbbbbbbbbbbbbb\n"),
        (
            "network ls --format {{.IPv4}}{{.IPv6}}{{.Internal}}",
            "falsefalsefalse\ntruefalsefalse\n",
        ),
        ("network ls --format {{.Labels}}", "\na=1,b=2\n"),
        ("network ls -q --format raw", "network_id: aaaaaaaaaaaa\nnetwork_id: bbbbbbbbbbbb\n"),
    ],
)
def test_output(line: str, out: str) -> None:
    assert run(line, {"GET /networks": list(NETWORKS)}).out == out


def test_creation_time_and_filters() -> None:
    result = run(
        ["network", "ls", "-f", "name=net10", "--format", '{{.CreatedAt}} {{.Label "a"}}'],
        {"GET /networks": NETWORKS[:1]},
    )
    assert result.out == "2026-05-07 21:09:36.5 +0000 UTC 1\n"
    assert result.request.query == {"filters": {"name": ["net10"]}}
