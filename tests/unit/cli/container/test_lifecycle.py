from __future__ import annotations

from typing import Any

import pytest

from support.fake_cli import run


@pytest.mark.parametrize(
    ("line", "request_line", "query"),
    [
        ("stop c", "POST /containers/c/stop", {}),
        ("stop -t 0 -s INT c", "POST /containers/c/stop", {"t": 0, "signal": "INT"}),
        ("stop --time 5 c", "POST /containers/c/stop", {"t": 5}),
        ("restart -t -1 c", "POST /containers/c/restart", {"t": -1}),
        ("kill c", "POST /containers/c/kill", {}),
        ("kill -s HUP c", "POST /containers/c/kill", {"signal": "HUP"}),
        ("pause c", "POST /containers/c/pause", {}),
        ("unpause c", "POST /containers/c/unpause", {}),
        ("rm c", "DELETE /containers/c", {}),
        ("rm -fv /c", "DELETE /containers/c", {"force": True, "v": True}),
        ("rm -l c/d", "DELETE /containers/c%2Fd", {"link": True}),
    ],
)
def test_requests(line: str, request_line: str, query: dict[str, Any]) -> None:
    result = run(line, {request_line: b""})
    name = line.split()[-1]
    assert (result.code, result.out) == (0, f"{name}\n")
    assert f"{result.request.method} {result.request.path}" == request_line
    assert result.request.query == query


def test_wait_prints_exit_codes() -> None:
    assert run("wait c", {"POST /containers/c/wait": {"StatusCode": 137}}).out == "137\n"
    failed = {"StatusCode": 0, "Error": {"Message": "gone"}}
    result = run("wait c", {"POST /containers/c/wait": failed})
    assert (result.code, result.err) == (1, "gone\n")


def test_prune() -> None:
    report = {"ContainersDeleted": ["c1", "c2"], "SpaceReclaimed": 2000}
    result = run("container prune -f --filter until=1h", {"POST /containers/prune": report})
    assert result.out == "Deleted Containers:\nc1\nc2\n\nTotal reclaimed space: 2kB\n"
    assert result.request.query == {"filters": {"until": ["1h"]}}


def test_an_empty_name() -> None:
    result = run(["rm", "/"])
    assert (result.code, result.err) == (1, "container name cannot be empty\n")
