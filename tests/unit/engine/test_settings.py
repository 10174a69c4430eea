"""Defaults that other rooms rely on."""

from __future__ import annotations

from pierhead.engine.settings import Settings


def test_each_daemon_has_its_own() -> None:
    first, second = Settings(), Settings()
    first.labels.append("a=b")
    assert second.labels == []
    assert first.daemon_id != second.daemon_id
    assert first.runtimes[first.default_runtime] == "crun"
