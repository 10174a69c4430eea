from __future__ import annotations

import pytest

from support.fake_cli import run

PORTS = {
    "443/tcp": [{"HostIp": "", "HostPort": "8443"}],
    "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}, {"HostIp": "::", "HostPort": "80"}],
    "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}],
    "9/tcp": None,
}
ANSWERS = {"GET /containers/c/json": {"NetworkSettings": {"Ports": PORTS}}}


@pytest.mark.parametrize(
    ("line", "out"),
    [
        (
            "port c",
            "80/tcp -> 0.0.0.0:80\n80/tcp -> [::]:80\n443/tcp -> 0.0.0.0:8443\n"
            "53/udp -> 127.0.0.1:5353\n",
        ),
        ("port c 80", "0.0.0.0:80\n[::]:80\n"),
        ("port c 53/udp", "127.0.0.1:5353\n"),
    ],
)
def test_port(line: str, out: str) -> None:
    assert run(line, ANSWERS).out == out


@pytest.mark.parametrize(
    ("line", "err"),
    [
        ("port c 53", "Error: No public port '53' published for c\n"),
        ("port c x/y", 'Error: invalid port (x): strconv.ParseUint: parsing "x": invalid syntax\n'),
    ],
)
def test_no_port(line: str, err: str) -> None:
    result = run(line, ANSWERS)
    assert (result.code, result.err) == (1, err)


def test_top() -> None:
    answer = {"Titles": ["PID", "CMD"], "Processes": [["1", "sleep 10"], ["20", "sh"]]}
    result = run("top c -o pid,cmd", {"GET /containers/c/top": answer})
    assert result.out == (
        "PID                 CMD\n1                   sleep 10\n20                  sh\n"
    )
    assert result.request.query == {"ps_args": "-o pid,cmd"}
