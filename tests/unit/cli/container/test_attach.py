from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pierhead.cli.container.attach import check_state
from pierhead.cli.errors import CliError
from support.wire_daemon import UPGRADED, WireDaemon, WireRequest, frame, respond


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "You cannot attach to a stopped container, start it first"),
        ({"Running": True, "Paused": True}, "You cannot attach to a paused container"),
        ({"Running": True, "Restarting": True}, "You cannot attach to a restarting container"),
    ],
)
def test_states(state: dict[str, Any], message: str) -> None:
    with pytest.raises(CliError, match=message):
        check_state({"State": state})


def _attach(request: WireRequest) -> None:
    request.sock.sendall(UPGRADED + frame(1, b"out"))
    request.sock.close()


@pytest.mark.parametrize(
    ("flags", "open_stdin", "query"),
    [
        ((), False, "stream=1&stdout=1&stderr=1"),
        ((), True, "stream=1&stdin=1&stdout=1&stderr=1"),
        (("--no-stdin",), True, "stream=1&stdout=1&stderr=1"),
        (("--detach-keys", "a"), False, "stream=1&stdout=1&stderr=1&detachKeys=a"),
    ],
)
def test_attach(tmp_path: Path, flags: tuple[str, ...], open_stdin: bool, query: str) -> None:
    found = {
        "Id": "c1",
        "State": {"Running": True},
        "Config": {"Tty": False, "OpenStdin": open_stdin},
    }
    daemon = WireDaemon(
        tmp_path,
        {
            "GET /containers/c/json": respond(found),
            "POST /containers/c1/wait": respond({"StatusCode": 4}),
            "POST /containers/c1/attach": _attach,
        },
    )
    done = daemon.pier("attach", *flags, "c")
    assert (done.returncode, done.stdout) == (4, b"out")
    assert [one.query for one in daemon.requests if one.path.endswith("attach")] == [query]
    daemon.close()
