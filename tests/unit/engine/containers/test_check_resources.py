from __future__ import annotations

import pytest

from pierhead.engine.config import HostConfig
from pierhead.engine.containers.check_resources import HostFacts, check_resources, parse_cpuset
from pierhead.errors import InvalidParameter

FACTS = HostFacts(
    cpus=2, controllers=frozenset({"memory", "cpu", "cpuset", "pids", "blkio"}), cpuset_cpus="0-1"
)
NOTHING = HostFacts(cpus=2, controllers=frozenset())
MB = 1 << 20


def check(facts: HostFacts = FACTS, *, update: bool = False, **fields: object) -> list[str]:
    return check_resources(HostConfig(**fields), facts, update=update)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"memory": MB}, "Minimum memory limit allowed is 6MB"),
        ({"memory": -1}, "Minimum memory limit allowed is 6MB"),
        (
            {"memory": 64 * MB, "memory_swap": 32 * MB},
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            {"memory_swap": 32 * MB},
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (
            {"memory_swappiness": 101},
            "Invalid value: 101, valid memory swappiness range is 0-100",
        ),
        ({"memory_reservation": MB}, "Minimum memory reservation allowed is 6MB"),
        (
            {"memory": 10 * MB, "memory_reservation": 20 * MB},
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            {"nano_cpus": 10**9, "cpu_period": 1000},
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (
            {"nano_cpus": 10**9, "cpu_quota": 1000},
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        (
            {"nano_cpus": 3 * 10**9},
            "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        ),
        (
            {"cpu_period": 10},
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        ({"cpu_quota": 10}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        ({"cpu_shares": -1}, "invalid CPU shares (-1): value must be a positive integer"),
        ({"cpuset_cpus": "a"}, "Invalid value a for cpuset cpus"),
        (
            {"cpuset_cpus": "0-7"},
            "Requested CPUs are not available - requested 0-7, available: 0-1",
        ),
        ({"blkio_weight": 5}, "Range of blkio weight is from 10 to 1000"),
    ],
)
def test_refusals(fields: dict[str, object], text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check(**fields)
    assert caught.value.message == text


def test_good_limits_pass_without_warnings() -> None:
    assert check(memory=64 * MB, memory_swap=-1, nano_cpus=15 * 10**8, cpuset_cpus="0,1") == []


def test_an_update_may_change_swap_alone() -> None:
    assert check(update=True, memory_swap=64 * MB) == []


def test_what_the_kernel_lacks_is_dropped_with_a_warning() -> None:
    host = HostConfig(memory=64 * MB, cpu_shares=5, pids_limit=10, blkio_weight=100)
    warnings = check_resources(host, NOTHING)
    assert len(warnings) == 4
    assert (host.memory, host.memory_swap, host.cpu_shares) == (0, -1, 0)
    assert host.pids_limit is None and host.blkio_weight == 0


def test_v2_has_no_swappiness_and_no_oom_switch() -> None:
    host = HostConfig(memory_swappiness=10, oom_kill_disable=True)
    facts = HostFacts(cpus=1, controllers=FACTS.controllers, cgroup_v2=True)
    assert len(check_resources(host, facts)) == 2
    assert host.memory_swappiness is None and host.oom_kill_disable is None


def test_cpuset_lists() -> None:
    assert parse_cpuset("0-2,4") == {0, 1, 2, 4}
    for bad in ("", "1-", "-1", "3-1", "1,,2", "99999"):
        with pytest.raises(ValueError):
            parse_cpuset(bad)
