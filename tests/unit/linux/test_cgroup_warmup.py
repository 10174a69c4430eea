from __future__ import annotations

import os
from pathlib import Path

from pierhead.linux.cgroup_warmup import CgroupWarmup, own_procs_file
from pierhead.linux.cgroups import Layout


def test_the_group_we_are_in() -> None:
    v1 = Layout("hybrid", ("pids",), {"pids": Path("/c/pids"), "systemd": Path("/c/systemd")})
    text = "3:net_cls:/\n2:pids:/user\n1:name=systemd:/x\n0::/y\n"
    assert own_procs_file(v1, text) == Path("/c/pids/user/cgroup.procs")
    v2 = Layout("v2", ("pids",), {})
    assert own_procs_file(v2, "0::/a.slice\n") == Path("/sys/fs/cgroup/a.slice/cgroup.procs")
    assert own_procs_file(Layout("v1", (), {}), "0::/\n") is None


def test_our_own_pid_is_written(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").touch()
    warmup = CgroupWarmup(Layout("v1", (), {}))
    warmup.warm()  # nowhere to write: nothing happens
    warmup._target = tmp_path / "cgroup.procs"
    warmup.warm()
    warmup._executor.shutdown(wait=True)
    assert (tmp_path / "cgroup.procs").read_text() == str(os.getpid())
    warmup.warm()  # fresh enough: not again, the executor is closed


def test_a_refusal_is_no_error(tmp_path: Path) -> None:
    warmup = CgroupWarmup(Layout("v1", (), {}))
    warmup._target = tmp_path / "missing"
    warmup._take()
    assert not warmup._busy
