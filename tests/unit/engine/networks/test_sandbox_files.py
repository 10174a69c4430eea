from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.engine.networks import sandbox_files


def test_the_inode_stays(tmp_path: Path) -> None:
    path = sandbox_files.hosts_path(tmp_path / "new")
    sandbox_files.write(path, "first and long\n")
    inode = path.stat().st_ino
    sandbox_files.write(path, "second\n")
    assert (path.read_text(), path.stat().st_ino) == ("second\n", inode)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    sandbox_files.hostname_path(tmp_path).symlink_to(victim)
    with pytest.raises(OSError):
        sandbox_files.write(sandbox_files.hostname_path(tmp_path), "x")
    assert victim.read_text() == "mine"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sandbox_files, "HOST_RESOLV_CONF", tmp_path / "resolv.conf")
    monkeypatch.setattr(sandbox_files, "RESOLVED_RESOLV_CONF", tmp_path / "behind.conf")
    monkeypatch.setattr(sandbox_files, "HOST_HOSTS", tmp_path / "hosts")
    return tmp_path


def test_the_hosts_resolvers(host: Path) -> None:
    assert sandbox_files.host_resolv_conf().nameservers == ()
    (host / "resolv.conf").write_text("nameserver 10.0.0.1\n")
    assert sandbox_files.host_resolv_conf().nameservers == ("10.0.0.1",)
    (host / "resolv.conf").write_text("nameserver 10.0.0.1\nnameserver 10.0.0.2\n")
    assert len(sandbox_files.host_resolv_conf().nameservers) == 2, "a change is noticed"


def test_behind_systemd_resolved(host: Path) -> None:
    (host / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    assert sandbox_files.host_resolv_conf().nameservers == ("127.0.0.53",)
    (host / "behind.conf").write_text("nameserver 10.0.0.9\n")
    assert sandbox_files.host_resolv_conf().nameservers == ("10.0.0.9",)


def test_the_hosts_hosts(host: Path) -> None:
    assert "localhost" in sandbox_files.host_hosts()
    (host / "hosts").write_text("10.0.0.1\tmine\n")
    assert sandbox_files.host_hosts() == "10.0.0.1\tmine\n"
