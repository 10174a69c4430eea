from __future__ import annotations

from pierhead.engine.config import HealthConfig
from pierhead.engine.containers.health import probe_of, record_result
from pierhead.engine.containers.model import HealthResult, HealthStatus


def result(code: int) -> HealthResult:
    return HealthResult(start_ns=1, end_ns=2, exit_code=code, output="")


def run(codes: list[int], *, retries: int = 3, in_start: int = 0) -> HealthStatus:
    """Results in order; the first ``in_start`` of them within the start period."""
    health = HealthStatus()
    for number, code in enumerate(codes):
        record_result(health, result(code), retries=retries, in_start_period=number < in_start)
    return health


def test_one_success_is_healthy() -> None:
    assert run([1, 1, 0]).status == "healthy"


def test_enough_failures_in_a_row_are_unhealthy() -> None:
    assert run([1, 1]).status == "starting"
    assert run([1, 1, 1]).status == "unhealthy"
    assert run([1, 1, 0, 1, 1]).status == "healthy"
    assert run([0, 1, 1, 1]).status == "unhealthy"
    assert run([1, 1, 1, 0]).failing_streak == 0


def test_failures_while_starting_do_not_count() -> None:
    health = run([1, 1, 1, 1], in_start=4)
    assert (health.status, health.failing_streak) == ("starting", 0)
    assert run([1, 1, 1, 1], in_start=1).status == "unhealthy"
    assert run([0, 1, 1, 1], in_start=4).status == "unhealthy"  # a success ends the start period


def test_five_results_are_kept() -> None:
    assert len(run([0] * 9).log) == 5


def test_probes() -> None:
    assert probe_of(None, None) is None
    assert probe_of(HealthConfig(test=["NONE"]), None) is None
    assert probe_of(HealthConfig(test=[]), None) is None
    assert probe_of(HealthConfig(test=["CMD"]), None) is None
    probe = probe_of(HealthConfig(test=["CMD-SHELL", "x | y"], interval=2_000_000_000), None)
    assert probe is not None
    assert probe.command == ["/bin/sh", "-c", "x | y"]
    assert (probe.interval_s, probe.timeout_s, probe.retries) == (2.0, 30.0, 3)
    shell = probe_of(HealthConfig(test=["CMD-SHELL", "x"]), ["/bin/bash", "-ec"])
    assert shell is not None and shell.command == ["/bin/bash", "-ec", "x"]
