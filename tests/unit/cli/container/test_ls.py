from __future__ import annotations

from typing import Any

import pytest

from support.fake_cli import run


@pytest.mark.parametrize(
    ("line", "query"),
    [
        ("ps", {}),
        ("ps -a", {"all": True}),
        ("ps -n 3", {"limit": 3}),
        ("ps -l", {"limit": 1}),
        ("ps -s", {"size": True}),
        ("ps --format {{.Size}}", {"size": True}),
        ("ps --format {{.Size}} --size=false", {}),
        (
            "container ls -f label=a -f label=b -f name=c",
            {"filters": {"label": ["a", "b"], "name": ["c"]}},
        ),
    ],
)
def test_queries(line: str, query: dict[str, Any]) -> None:
    assert run(line, {"GET /containers/json": []}).request.query == query


def test_output() -> None:
    summary = {
        "Id": "0123456789abcdef",
        "Names": ["/web"],
        "Image": "busybox",
        "Command": "sleep 1",
        "Created": 0,
        "Status": "Up 2 hours",
        "Ports": [{"PrivatePort": 80, "PublicPort": 8080, "IP": "0.0.0.0", "Type": "tcp"}],
    }
    answers = {"GET /containers/json": [summary]}
    lines = run("ps", answers).out.splitlines()
    assert lines[0].split("  ")[0] == "CONTAINER ID"
    assert lines[1].startswith('0123456789ab   busybox   "sleep 1"')
    assert lines[1].endswith("Up 2 hours   0.0.0.0:8080->80/tcp   web")
    assert run("ps -q", answers).out == "0123456789ab\n"
    assert run("ps -q --no-trunc", answers).out == "0123456789abcdef\n"
    config = {"psFormat": "{{.Names}}"}
    assert run("ps", answers, config=config).out == "web\n"
    assert run("ps -q", answers, config=config).out == "0123456789ab\n"


def test_a_filter_without_a_value() -> None:
    from pierhead.cli.errors import FlagError
    from pierhead.cli.flags import parse
    from pierhead.cli.main import load

    with pytest.raises(FlagError, match=r"bad format of filter \(expected name=value\)"):
        parse(load("ps").flags, ["-f", "x"])
