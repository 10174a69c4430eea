from __future__ import annotations

import pytest

from pierhead.engine.containers.restarts import after_daemon_start, next_backoff_s, policy_says

SECOND = 1_000_000_000


def test_back_off_doubles_up_to_a_minute_and_is_reset() -> None:
    waits, wait = [], 0.0
    for _ in range(12):
        wait = next_backoff_s(wait, SECOND)
        waits.append(wait)
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits[-1] == 60.0
    assert next_backoff_s(60.0, 10 * SECOND) == 0.1


@pytest.mark.parametrize(
    ("name", "maximum", "exit_code", "count", "stopped", "expected"),
    [
        ("no", 0, 1, 0, False, False),
        ("", 0, 1, 0, False, False),
        ("always", 0, 0, 99, False, True),
        ("always", 0, 0, 0, True, False),
        ("unless-stopped", 0, 0, 0, False, True),
        ("unless-stopped", 0, 0, 0, True, False),
        ("on-failure", 0, 0, 0, False, False),
        ("on-failure", 0, 3, 99, False, True),
        ("on-failure", 3, 3, 2, False, True),
        ("on-failure", 3, 3, 3, False, False),
        ("on-failure", 3, 3, 0, True, False),
    ],
)
def test_policies(
    name: str, maximum: int, exit_code: int, count: int, stopped: bool, expected: bool
) -> None:
    assert (
        policy_says(
            name, maximum, exit_code=exit_code, restart_count=count, manually_stopped=stopped
        )
        is expected
    )


def test_after_a_start_of_pierd() -> None:
    assert after_daemon_start("always", manually_stopped=True, was_running=False)
    assert not after_daemon_start("unless-stopped", manually_stopped=True, was_running=False)
    assert after_daemon_start("unless-stopped", manually_stopped=False, was_running=True)
    assert after_daemon_start("on-failure", manually_stopped=False, was_running=True)
    assert not after_daemon_start("no", manually_stopped=False, was_running=True)
