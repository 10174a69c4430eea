from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pierhead.linux import limits
from support.containers import World


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """The room with made-up surroundings."""
    monkeypatch.setattr(limits, "capabilities", lambda: ["CAP_CHOWN", "CAP_KILL"])
    world = World(tmp_path)
    world.install(monkeypatch)
    yield world
    await world.close()
