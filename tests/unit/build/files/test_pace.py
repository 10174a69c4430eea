"""Progress now and then."""

from __future__ import annotations

from pierhead.build.files.pace import EVERY_S, Paced


def test_not_every_step_is_told() -> None:
    told: list[int] = []
    now = 0.0
    paced = Paced(lambda what, current, total: told.append(current), lambda: now)
    for step in range(100):
        now = step * EVERY_S / 20
        paced("it", step, 100)
    assert told[0] == 0
    assert 4 <= len(told) <= 6
