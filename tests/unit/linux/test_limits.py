from __future__ import annotations

import os
import resource

import pytest

from pierhead.linux import limits


@pytest.fixture
def powerless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "capabilities", lambda: ["CAP_CHOWN"])


@pytest.mark.usefixtures("powerless")
def test_limits_beyond_ours_are_cut_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _number: (1024, 4096))
    allowed, warnings = limits.allowed_rlimits([("nofile", 100_000, 200_000), ("core", 0, 0)])
    assert allowed == [("nofile", 4096, 4096), ("core", 0, 0)]
    assert len(warnings) == 1
    assert "nofile" in warnings[0]


@pytest.mark.usefixtures("powerless")
def test_unlimited_is_beyond_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _number: (1024, 4096))
    assert limits.allowed_rlimits([("nofile", -1, -1)])[0] == [("nofile", 4096, 4096)]


def test_with_the_capability_all_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "capabilities", lambda: ["CAP_SYS_RESOURCE"])
    wanted = [("nofile", 1 << 30, 1 << 30)]
    assert limits.allowed_rlimits(wanted) == (wanted, [])


@pytest.mark.usefixtures("powerless")
def test_the_oom_score_may_only_rise() -> None:
    with open("/proc/self/oom_score_adj") as file:
        own = int(file.read())
    assert limits.allowed_oom_score_adj(own) == (None, [])
    if own < 1000:
        assert limits.allowed_oom_score_adj(own + 1) == (own + 1, [])
    if own > -1000:
        score, warnings = limits.allowed_oom_score_adj(own - 1)
        assert score is None
        assert "CAP_SYS_RESOURCE" in warnings[0]


def test_capabilities_of_this_process() -> None:
    assert ("CAP_SYS_ADMIN" in limits.capabilities()) <= (os.geteuid() == 0)
