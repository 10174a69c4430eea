"""The heap's settings are taken."""

from __future__ import annotations

from pierhead.linux import memory


def test_calls_do_no_harm() -> None:
    memory.limit_arenas(2)
    memory.trim()
