"""Bind mounts, named and anonymous volumes, tmpfs, volumes-from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command import Command
from support.http import Api

Unique = Callable[[str], str]
SLEEP = ("busybox", "sleep", "1000")


class TestBinds:
    def test_both_ways(self, cli: Command, tmp_path: Path) -> None:
        (tmp_path / "in").write_text("from host\n")
        done = cli(
            "run",
            "--rm",
            "-v",
            f"{tmp_path}:/mnt",
            "busybox",
            "sh",
            "-c",
            "cat /mnt/in; echo x > /mnt/out",
        )
        assert done.stdout == "from host\n"
        assert (tmp_path / "out").read_text() == "x\n"

    def test_read_only(self, cli: Command, tmp_path: Path) -> None:
        done = cli.fails("run", "--rm", "-v", f"{tmp_path}:/mnt:ro", "busybox", "touch", "/mnt/x")
        assert "Read-only file system" in done.stderr

    def test_a_file(self, docker: Command, tmp_path: Path) -> None:
        (tmp_path / "conf").write_text("setting\n")
        done = docker(
            "run", "--rm", "-v", f"{tmp_path}/conf:/etc/my.conf", "busybox", "cat", "/etc/my.conf"
        )
        assert done.stdout == "setting\n"

    def test_a_read_only_file(self, docker: Command, tmp_path: Path) -> None:
        (tmp_path / "conf").write_text("setting\n")
        run = ("run", "--rm", "-v", f"{tmp_path}/conf:/etc/my.conf:ro", "busybox")
        assert docker(*run, "cat", "/etc/my.conf").stdout == "setting\n"
        docker.fails(*run, "sh", "-c", "echo x > /etc/my.conf").says("Read-only file system")

    def test_v_makes_the_source_mount_does_not(self, docker: Command, tmp_path: Path) -> None:
        docker("run", "--rm", "-v", f"{tmp_path}/made:/mnt", "busybox", "true")
        assert (tmp_path / "made").is_dir()
        docker.fails(
            *("run", "--rm", "--mount", f"type=bind,src={tmp_path}/missing,dst=/mnt"),
            *("busybox", "true"),
            code=125,
        ).says("bind source path does not exist")
        assert not (tmp_path / "missing").exists()

    def test_mount_syntax(self, cli: Command, tmp_path: Path) -> None:
        (tmp_path / "in").write_text("x\n")
        mount = f"type=bind,source={tmp_path},target=/mnt,readonly"
        assert cli("run", "--rm", "--mount", mount, "busybox", "cat", "/mnt/in").stdout == "x\n"
        cli.fails("run", "--rm", "--mount", mount, "busybox", "touch", "/mnt/y")

    def test_relative_target(self, docker: Command) -> None:
        docker.fails("run", "--rm", "-v", "/tmp:relative", "busybox", "true", code=125).says(
            "mount path must be absolute"
        )

    def test_over_the_root(self, docker: Command) -> None:
        docker.fails("run", "--rm", "-v", "/tmp:/", "busybox", "true", code=125).says(
            "destination can't be '/'"
        )

    def test_twice_the_same_target(self, docker: Command) -> None:
        docker.fails(
            "run", "--rm", "-v", "/tmp:/mnt", "-v", "/var:/mnt", "busybox", "true", code=125
        ).says("Duplicate mount point: /mnt")

    def test_order_of_nested_targets(self, docker: Command, tmp_path: Path) -> None:
        (tmp_path / "a" / "b").mkdir(parents=True)
        (tmp_path / "inner").mkdir()
        (tmp_path / "inner" / "f").write_text("deep\n")
        done = docker(
            *("run", "--rm", "-v", f"{tmp_path}/inner:/x/b", "-v", f"{tmp_path}/a:/x"),
            *("busybox", "cat", "/x/b/f"),
        )
        assert done.stdout == "deep\n"

    def test_a_symlink_in_the_image_does_not_lead_out(
        self, docker: Command, name: str, unique: Unique, tmp_path: Path
    ) -> None:
        ref = f"{unique('linked')}:1"
        docker("run", "--name", name, "busybox", "ln", "-s", str(tmp_path), "/out")
        docker("commit", name, ref)
        (tmp_path / "src").mkdir()
        docker("run", "--rm", "-v", f"{tmp_path}/src:/out/made-by-mount", ref, "true")
        assert not (tmp_path / "made-by-mount").exists()


class TestNamed:
    def test_create_use_remove(self, cli: Command, unique: Unique) -> None:
        volume = unique("vol")
        assert cli("volume", "create", "--label", "a=b", volume).out == volume
        cli("run", "--rm", "-v", f"{volume}:/data", "busybox", "sh", "-c", "echo kept > /data/f")
        assert cli("run", "--rm", "-v", f"{volume}:/d", "busybox", "cat", "/d/f").stdout == "kept\n"
        got = json.loads(cli("volume", "inspect", volume).stdout)[0]
        assert (got["Name"], got["Driver"], got["Labels"], got["Scope"]) == (
            volume,
            "local",
            {"a": "b"},
            "local",
        )
        assert (Path(got["Mountpoint"]) / "f").read_text() == "kept\n"
        assert cli("volume", "rm", volume).out == volume
        cli.fails("volume", "inspect", volume, code=1).says(
            "no such volume" if cli.name[6:] > "24" else volume
        )

    def test_made_on_first_use(self, docker: Command, unique: Unique) -> None:
        volume = unique("vol")
        docker("run", "--rm", "-v", f"{volume}:/data", "busybox", "true")
        assert volume in docker("volume", "ls", "-q").lines

    def test_in_use(self, cli: Command, name: str, unique: Unique) -> None:
        volume = unique("vol")
        full = cli("create", "--name", name, "-v", f"{volume}:/data", *SLEEP).out
        cli.fails("volume", "rm", volume, code=1).says("volume is in use", full)
        cli("rm", name)
        cli("volume", "rm", volume)

    def test_copy_up(self, cli: Command, unique: Unique) -> None:
        """An empty volume takes what the image has there, owner and mode too."""
        volume = unique("vol")
        done = cli("run", "--rm", "-v", f"{volume}:/etc", "busybox", "cat", "/etc/passwd")
        assert done.stdout.startswith("root:")
        again = cli(
            "run", "--rm", "-v", f"{volume}:/v", "busybox", "sh", "-c", "stat -c %a /v; ls /v"
        )
        assert "passwd" in again.stdout

    def test_nocopy(self, docker: Command, unique: Unique) -> None:
        done = docker(
            "run", "--rm", "-v", f"{unique('vol')}:/root:nocopy", "busybox", "ls", "-A", "/root"
        )
        assert done.stdout == ""

    def test_no_copy_over_what_is_there(self, docker: Command, unique: Unique) -> None:
        volume = unique("vol")
        docker("run", "--rm", "-v", f"{volume}:/v", "busybox", "touch", "/v/mine")
        done = docker("run", "--rm", "-v", f"{volume}:/etc", "busybox", "ls", "/etc")
        assert "passwd" not in done.stdout

    def test_list_and_filters(self, cli: Command, name: str, unique: Unique) -> None:
        used, unused = unique("used"), unique("unused")
        cli("volume", "create", "--label", "who=me", unused)
        cli("create", "--name", name, "-v", f"{used}:/d", *SLEEP)
        assert cli("volume", "ls", "-q", "-f", "dangling=true", "-f", "name=used").lines == [unused]
        assert cli("volume", "ls", "-q", "-f", "label=who=me").lines == [unused]
        assert cli("volume", "ls", "-f", f"name={used}").lines[0].split() == [
            "DRIVER",
            "VOLUME",
            "NAME",
        ]

    def test_prune(self, docker: Command, docker20: Command, unique: Unique) -> None:
        volume = unique("vol")
        docker("volume", "create", volume)
        docker20(
            "volume", "prune", "-f"
        )  # API 1.42 leaves named ones alone unless told, 1.41 does not
        assert volume not in docker("volume", "ls", "-q").lines

    def test_create_twice_is_fine(self, docker: Command, unique: Unique) -> None:
        volume = unique("vol")
        assert docker("volume", "create", volume).out == docker("volume", "create", volume).out

    @pytest.mark.parametrize("bad", ["a", "a b", "../up", ".hidden", "a/b"])
    def test_bad_names(self, cli: Command, bad: str) -> None:
        cli.fails("volume", "create", "--", bad, code=1).says("volume name")

    def test_unknown_driver(self, docker: Command) -> None:
        docker.fails("volume", "create", "-d", "no-such-driver", "x1").says("no-such-driver")

    def test_tmpfs_options_of_the_local_driver(self, docker: Command, unique: Unique) -> None:
        volume = unique("vol")
        docker(
            *("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m"),
            volume,
        )
        done = docker("run", "--rm", "-v", f"{volume}:/v", "busybox", "df", "-k", "/v")
        assert done.lines[-1].split()[1] == "1024"


class TestAnonymous:
    def test_rm_takes_them_along(self, cli: Command) -> None:
        before = set(cli("volume", "ls", "-q").lines)
        cli("run", "--rm", "-v", "/data", "busybox", "touch", "/data/x")
        assert set(cli("volume", "ls", "-q").lines) == before

    def test_rm_v(self, cli: Command, name: str) -> None:
        before = set(cli("volume", "ls", "-q").lines)
        cli("run", "--name", name, "-v", "/data", "busybox", "true")
        new = set(cli("volume", "ls", "-q").lines) - before
        assert len(new) == 1 and re.fullmatch("[0-9a-f]{64}", next(iter(new)))
        cli("rm", "-v", name)
        assert set(cli("volume", "ls", "-q").lines) == before

    def test_rm_keeps_named_ones(self, docker: Command, unique: Unique) -> None:
        volume = unique("vol")
        docker("run", "--rm", "-v", f"{volume}:/data", "busybox", "true")
        assert volume in docker("volume", "ls", "-q").lines

    def test_volumes_of_the_image(self, docker: Command, name: str, unique: Unique) -> None:
        ref = f"{unique('vols')}:1"
        docker("run", "--name", name, "busybox", "sh", "-c", "mkdir /data; echo seed > /data/f")
        docker("commit", "-c", "VOLUME /data", name, ref)
        done = docker("run", "--rm", ref, "sh", "-c", "cat /data/f; mount | grep -c ' /data '")
        assert done.lines == ["seed", "1"]

    def test_they_survive_a_restart(self, docker: Command, name: str) -> None:
        docker(
            "run",
            "--name",
            name,
            "-v",
            "/data",
            "busybox",
            "sh",
            "-c",
            "echo x >> /data/f; wc -l < /data/f",
        )
        assert docker("start", "-a", name).out == "2"


class TestTmpfsAndFrom:
    def test_tmpfs(self, cli: Command) -> None:
        done = cli(
            "run",
            "--rm",
            "--tmpfs",
            "/t:size=2m,mode=1770",
            "busybox",
            "sh",
            "-c",
            "df -k /t | tail -1; stat -c %a /t",
        )
        assert done.lines[0].split()[1] == "2048"
        assert done.lines[1] == "1770"

    def test_tmpfs_by_mount(self, docker: Command) -> None:
        done = docker(
            "run", "--rm", "--mount", "type=tmpfs,dst=/t,tmpfs-size=3m", "busybox", "df", "-k", "/t"
        )
        assert done.lines[-1].split()[1] == "3072"

    def test_volumes_from(self, cli: Command, unique: Unique, tmp_path: Path) -> None:
        source, volume = unique("source"), unique("vol")
        (tmp_path / "f").write_text("bind\n")
        cli(
            "run",
            "--name",
            source,
            "-v",
            f"{volume}:/v",
            "-v",
            f"{tmp_path}:/b",
            "busybox",
            "sh",
            "-c",
            "echo vol > /v/f",
        )
        done = cli("run", "--rm", "--volumes-from", source, "busybox", "cat", "/v/f", "/b/f")
        assert done.lines == ["vol", "bind"]
        cli.fails("run", "--rm", "--volumes-from", f"{source}:ro", "busybox", "touch", "/v/g")

    def test_volumes_from_nobody(self, cli: Command) -> None:
        cli.fails("run", "--rm", "--volumes-from", "nobody", "busybox", "true", code=125).says(
            "No such container: nobody"
        )

    def test_mounts_in_inspect(
        self, api: Api, docker: Command, name: str, unique: Unique, tmp_path: Path
    ) -> None:
        volume = unique("vol")
        docker("create", "--name", name, "-v", f"{volume}:/v", "-v", f"{tmp_path}:/b:ro", *SLEEP)
        mounts = {m["Destination"]: m for m in api.get(f"/containers/{name}/json").json["Mounts"]}
        assert (mounts["/v"]["Type"], mounts["/v"]["Name"], mounts["/v"]["RW"]) == (
            "volume",
            volume,
            True,
        )
        assert (mounts["/b"]["Type"], mounts["/b"]["Source"], mounts["/b"]["RW"]) == (
            "bind",
            str(tmp_path),
            False,
        )
