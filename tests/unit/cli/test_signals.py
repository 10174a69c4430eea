from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from pierhead.cli.signals import FORWARDED, NAMES, Signals, forward
from pierhead.client.errors import ApiError


@pytest.fixture
def caught() -> Any:
    old = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGWINCH)}
    yield Signals([signal.SIGUSR1, signal.SIGWINCH])
    signal.set_wakeup_fd(-1)
    for number, handler in old.items():
        signal.signal(number, handler)


def test_signals_become_readable(caught: Signals) -> None:
    assert caught.read() == []
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGWINCH)
    assert caught.read() == [signal.SIGUSR1, signal.SIGWINCH]


class Client:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def request(self, method: str, path: str, query: Any) -> Any:
        self.sent.append((path, query["signal"]))
        raise ApiError(409, "is not running")


def test_forward() -> None:
    client = Client()
    for number in (signal.SIGINT, signal.SIGUSR2, 35, signal.SIGCHLD, signal.SIGPIPE):
        forward(client, "c1", number)  # type: ignore[arg-type]
    assert client.sent == [
        ("/containers/c1/kill", "SIGINT"),
        ("/containers/c1/kill", "SIGUSR2"),
        ("/containers/c1/kill", "35"),
    ]


def test_names_are_the_platforms() -> None:
    for number, name in NAMES.items():
        # SIGSTKFLT has no name in Python 3.11.1 and before.
        assert number == 16 or signal.Signals(number) == getattr(signal, f"SIG{name}")
    assert not {9, 13, 17, 19, 23} & set(FORWARDED)
