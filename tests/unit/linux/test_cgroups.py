from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.errors import Unavailable
from pierhead.linux import cgroups, mounts


def entry(target: str, fstype: str, options: str) -> mounts.MountInfo:
    return mounts.MountInfo(1, 1, "0:1", "/", target, "rw", "", fstype, fstype, options)


HYBRID = [
    entry("/sys/fs/cgroup", "tmpfs", "rw,mode=755"),
    entry("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
    entry("/sys/fs/cgroup/memory", "cgroup", "rw,memory"),
    entry("/sys/fs/cgroup/systemd", "cgroup", "rw,xattr,name=systemd"),
    entry("/sys/fs/cgroup/unified", "cgroup2", "rw"),
]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_v1_controllers", lambda: ["cpu", "cpuacct", "memory", "pids"])


@pytest.mark.usefixtures("kernel")
def test_hybrid_is_told_by_the_unified_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "mountinfo", lambda: HYBRID)
    layout = cgroups.detect()
    assert layout.version == "hybrid"
    assert layout.api_version == "1"
    assert layout.controllers == ("cpu", "cpuacct", "memory")
    assert layout.paths["cpuacct"] == Path("/sys/fs/cgroup/cpu,cpuacct")
    assert layout.paths["systemd"] == Path("/sys/fs/cgroup/systemd")
    assert layout.hierarchies().count(Path("/sys/fs/cgroup/cpu,cpuacct")) == 1
    assert layout.hierarchies()[-1] == Path("/sys/fs/cgroup/unified")  # crun makes groups there


@pytest.mark.usefixtures("kernel")
def test_without_the_unified_mount_it_is_v1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "mountinfo", lambda: HYBRID[:-1])
    assert cgroups.detect().version == "v1"


def test_nothing_mounted_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "mountinfo", list)
    with pytest.raises(Unavailable, match="mount cgroup2"):
        cgroups.detect()


def test_v2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu io memory pids\n")
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    monkeypatch.setattr(mounts, "mountinfo", lambda: [entry(str(tmp_path), "cgroup2", "rw")])
    layout = cgroups.detect()
    assert (layout.version, layout.api_version) == ("v2", "2")
    assert layout.controllers == ("cpu", "io", "memory", "pids")
    assert layout.directory("memory", "/pierhead/x") == tmp_path / "pierhead/x"


def test_v2_controllers_are_enabled_for_children(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    monkeypatch.setattr(mounts, "mountinfo", lambda: [entry(str(tmp_path), "cgroup2", "rw")])
    for folder in (tmp_path, tmp_path / "pierhead"):
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text("cpu memory\n")
        (folder / "cgroup.subtree_control").write_text("cpu\n")
    _, warnings = cgroups.prepare()
    assert warnings == []
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
    assert (tmp_path / "pierhead" / "cgroup.subtree_control").read_text() == "+memory"


def test_the_path_of_a_container() -> None:
    assert cgroups.container_path("abc") == "/pierhead/abc"
    assert cgroups.container_path("abc", "/my/group/") == "/my/group/abc"


@pytest.fixture
def group(tmp_path: Path) -> tuple[cgroups.Layout, Path]:
    folder = tmp_path / "memory" / "pierhead" / "x"
    folder.mkdir(parents=True)
    return cgroups.Layout("v1", ("memory",), {"memory": tmp_path / "memory"}), folder


def test_an_oom_kill_is_seen(group: tuple[cgroups.Layout, Path]) -> None:
    layout, folder = group
    assert not cgroups.oom_killed(layout, "/pierhead/x")
    (folder / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    assert not cgroups.oom_killed(layout, "/pierhead/x")
    (folder / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert cgroups.oom_killed(layout, "/pierhead/x")


def test_processes_of_nested_groups_are_found(group: tuple[cgroups.Layout, Path]) -> None:
    layout, folder = group
    (folder / "cgroup.procs").write_text("30\n10\n")
    (folder / "inner").mkdir()
    (folder / "inner" / "cgroup.procs").write_text("20\n")
    assert cgroups.pids(layout, "/pierhead/x") == [10, 20, 30]
    assert cgroups.pids(layout, "/pierhead/other") == []


def test_removal_takes_the_children_too(group: tuple[cgroups.Layout, Path]) -> None:
    layout, folder = group
    (folder / "inner").mkdir()
    assert cgroups.remove(layout, "/pierhead/x", kill=False)
    assert not folder.exists()
    assert cgroups.remove(layout, "/pierhead/x", kill=False)


def test_a_busy_group_stays(group: tuple[cgroups.Layout, Path]) -> None:
    layout, folder = group
    (folder / "stands-for-a-process").write_text("")
    assert not cgroups.remove(layout, "/pierhead/x", kill=False)


def test_limits_are_lifted(tmp_path: Path) -> None:
    for version, pids, cpu, expected in (
        ("v1", "pids", "cpu", ("cpu.cfs_quota_us", "-1")),
        ("v2", "", "", ("cpu.max", "max")),
    ):
        base = tmp_path / version
        (base / pids / "g").mkdir(parents=True)
        (base / cpu / "g").mkdir(parents=True, exist_ok=True)
        layout = cgroups.Layout(
            version,  # type: ignore[arg-type]
            ("pids", "cpu"),
            {"pids": base / "pids", "cpu": base / "cpu"},
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cgroups, "ROOT", base)
            cgroups.lift_pids_limit(layout, "/g")
            cgroups.lift_cpu_quota(layout, "/g")
        assert (base / pids / "g" / "pids.max").read_text() == "max"
        name, content = expected
        assert (base / cpu / "g" / name).read_text() == content
