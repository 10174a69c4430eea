from __future__ import annotations

import pytest

from pierhead.engine.config import HostConfig, RestartPolicy
from pierhead.engine.containers.update import merge_resources
from pierhead.errors import Conflict

MB = 1 << 20


def test_only_what_is_given_changes() -> None:
    current = HostConfig(memory=64 * MB, memory_swap=128 * MB, cpu_shares=5)
    merged = merge_resources(current, HostConfig(memory=32 * MB), None)
    assert (merged.memory, merged.memory_swap, merged.cpu_shares) == (32 * MB, 128 * MB, 5)
    assert current.memory == 64 * MB


def test_memory_above_swap() -> None:
    current = HostConfig(memory=64 * MB, memory_swap=128 * MB)
    with pytest.raises(Conflict, match="update the memoryswap at the same time"):
        merge_resources(current, HostConfig(memory=256 * MB), None)
    merge_resources(current, HostConfig(memory=256 * MB, memory_swap=512 * MB), None)


def test_cpus_and_periods_exclude_each_other() -> None:
    with pytest.raises(Conflict, match="CPU Period has already been set"):
        merge_resources(HostConfig(cpu_period=5000), HostConfig(nano_cpus=10**9), None)
    with pytest.raises(Conflict, match="NanoCPUs has already been set"):
        merge_resources(HostConfig(nano_cpus=10**9), HostConfig(cpu_quota=5000), None)


def test_restart_policy() -> None:
    policy = RestartPolicy(name="always")
    assert merge_resources(HostConfig(), HostConfig(), policy).restart_policy.name == "always"
    with pytest.raises(Conflict, match="AutoRemove is enabled"):
        merge_resources(HostConfig(auto_remove=True), HostConfig(), policy)


def test_pids_limit_can_be_lifted() -> None:
    merged = merge_resources(HostConfig(pids_limit=9), HostConfig(pids_limit=-1), None)
    assert merged.pids_limit == 0
