"""What isn't there says so, in the way clients expect."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.api import fake_engine, serving


@pytest.mark.parametrize(
    ("method", "target", "status", "words"),
    [
        ("GET", "/swarm", 503, "This node is not a swarm manager"),
        ("GET", "/services", 503, "swarm manager"),
        ("GET", "/tasks/x/logs", 503, "swarm manager"),
        ("POST", "/swarm/init", 501, "no swarm mode"),
        ("GET", "/plugins/x/json", 404, 'plugin "x" not found'),
        ("POST", "/plugins/pull", 501, "plugins"),
        ("PUT", "/volumes/x", 503, "cluster volumes"),
    ],
)
async def test_refusals(tmp_path: Path, method: str, target: str, status: int, words: str) -> None:
    async with serving(fake_engine(tmp_path), tmp_path) as ask:
        answer = await ask(method, target)
        assert answer.status == status
        assert words in answer.message


async def test_empty_but_true(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path), tmp_path) as ask:
        assert (await ask("GET", "/plugins")).json() == []
