from __future__ import annotations

import pytest

from pierhead.engine.containers.model import Phase
from unit.engine.containers.test_registry import container


@pytest.mark.parametrize(
    ("phase", "running", "active"),
    [
        (Phase.CREATED, False, False),
        (Phase.RUNNING, True, True),
        (Phase.PAUSED, True, True),
        (Phase.RESTARTING, False, True),
        (Phase.EXITED, False, False),
        (Phase.DEAD, False, False),
    ],
)
async def test_phases(phase: Phase, running: bool, active: bool) -> None:
    made = container("a", "aa")
    made.status.phase = phase
    assert (made.running, made.active) == (running, active)


async def test_repr_names_it() -> None:
    assert repr(container("abc", "web")) == "<Container abc000000000 web created>"
