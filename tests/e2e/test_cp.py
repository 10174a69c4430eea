"""``docker cp`` in both directions, and the archive endpoints below it."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.command import Command
from support.http import Api

SLEEP = ("busybox", "sleep", "1000")


@pytest.fixture
def box(cli: Command, name: str) -> Iterator[str]:
    """A running container with a few files."""
    cli(
        *("run", "-d", "--name", name, "busybox", "sh", "-c"),
        "mkdir -p /d/sub; echo one > /d/1; echo two > /d/sub/2; ln -s /d/1 /link; "
        "ln -s /../../../../../../etc/passwd /escape; touch /ready; sleep 1000",
    )
    cli("exec", name, "sh", "-c", "while ! test -e /ready; do sleep 0.02; done")
    yield name


class TestOut:
    def test_a_file(self, cli: Command, box: str, tmp_path: Path) -> None:
        cli("cp", f"{box}:/d/1", str(tmp_path / "copy"))
        assert (tmp_path / "copy").read_text() == "one\n"

    def test_a_file_into_a_directory(self, cli: Command, box: str, tmp_path: Path) -> None:
        cli("cp", f"{box}:/d/1", str(tmp_path))
        assert (tmp_path / "1").read_text() == "one\n"

    def test_a_directory(self, cli: Command, box: str, tmp_path: Path) -> None:
        cli("cp", f"{box}:/d", str(tmp_path))
        assert (tmp_path / "d" / "sub" / "2").read_text() == "two\n"

    def test_the_content_of_a_directory(self, cli: Command, box: str, tmp_path: Path) -> None:
        cli("cp", f"{box}:/d/.", str(tmp_path))
        assert (tmp_path / "sub" / "2").read_text() == "two\n"

    def test_to_stdout_as_tar(self, cli: Command, box: str) -> None:
        done = cli("cp", f"{box}:/d", "-")
        with tarfile.open(fileobj=io.BytesIO(done.stdout_bytes)) as tar:
            assert {"d", "d/1", "d/sub", "d/sub/2"} <= {n.rstrip("/") for n in tar.getnames()}

    def test_a_link_and_what_it_points_to(self, cli: Command, box: str, tmp_path: Path) -> None:
        cli("cp", f"{box}:/link", str(tmp_path / "as-link"))
        assert os.readlink(tmp_path / "as-link") == "/d/1"
        cli("cp", "-L", f"{box}:/link", str(tmp_path / "followed"))
        assert (tmp_path / "followed").read_text() == "one\n"

    def test_no_escape_by_symlink(self, cli: Command, box: str, tmp_path: Path) -> None:
        cli("cp", "-L", f"{box}:/escape", str(tmp_path / "file"))
        inside = cli("exec", box, "cat", "/etc/passwd").stdout
        assert (tmp_path / "file").read_text() == inside

    def test_from_a_stopped_container(self, cli: Command, name: str, tmp_path: Path) -> None:
        cli("run", "--name", name, "busybox", "sh", "-c", "echo late > /file")
        cli("cp", f"{name}:/file", str(tmp_path))
        assert (tmp_path / "file").read_text() == "late\n"

    def test_from_a_created_container(self, docker: Command, name: str, tmp_path: Path) -> None:
        docker("create", "--name", name, *SLEEP)
        docker("cp", f"{name}:/etc/passwd", str(tmp_path))
        assert (tmp_path / "passwd").read_text().startswith("root:")

    def test_through_a_volume(self, cli: Command, name: str, tmp_path: Path) -> None:
        cli(
            "run", "--name", name, "-v", "/vol", "busybox", "sh", "-c", "echo in-volume > /vol/file"
        )
        cli("cp", f"{name}:/vol/file", str(tmp_path))
        assert (tmp_path / "file").read_text() == "in-volume\n"

    def test_not_there(self, cli: Command, box: str, tmp_path: Path) -> None:
        missing = cli.fails("cp", f"{box}:/nothing", str(tmp_path), code=1)
        # 20.10's own command line has its own words
        assert re.search(r"Could not find the file /nothing in container|:/nothing", missing.stderr)
        cli.fails("cp", "nobody:/x", str(tmp_path), code=1).says("No such container", "nobody")

    def test_a_gap_stays_small(self, docker: Command, name: str) -> None:
        docker("run", "--name", name, "busybox", "truncate", "-s", "50M", "/sparse")
        out = docker("cp", f"{name}:/sparse", "-").stdout_bytes
        with tarfile.open(fileobj=io.BytesIO(out)) as tar:
            assert tar.getmember("sparse").size == 50 << 20


class TestIn:
    def test_a_file(self, cli: Command, box: str, tmp_path: Path) -> None:
        (tmp_path / "new").write_text("from outside\n")
        (tmp_path / "new").chmod(0o640)
        cli("cp", str(tmp_path / "new"), f"{box}:/tmp/renamed")
        assert cli("exec", box, "cat", "/tmp/renamed").stdout == "from outside\n"
        # without -a the owner is root, the mode is kept
        assert cli("exec", box, "stat", "-c", "%u:%g %a", "/tmp/renamed").out == "0:0 640"

    def test_archive_keeps_the_owner(self, cli: Command, box: str, tmp_path: Path) -> None:
        (tmp_path / "owned").write_text("x")
        os.chown(tmp_path / "owned", 1234, 5678)
        cli("cp", "-a", str(tmp_path / "owned"), f"{box}:/tmp/")
        assert cli("exec", box, "stat", "-c", "%u:%g", "/tmp/owned").out == "1234:5678"

    def test_a_directory(self, cli: Command, box: str, tmp_path: Path) -> None:
        (tmp_path / "tree" / "deep").mkdir(parents=True)
        (tmp_path / "tree" / "deep" / "leaf").write_text("x\n")
        cli("cp", str(tmp_path / "tree"), f"{box}:/d")
        assert cli("exec", box, "cat", "/d/tree/deep/leaf").stdout == "x\n"

    def test_a_directory_under_a_new_name(self, cli: Command, box: str, tmp_path: Path) -> None:
        (tmp_path / "tree").mkdir()
        (tmp_path / "tree" / "leaf").write_text("x\n")
        cli("cp", str(tmp_path / "tree"), f"{box}:/d/other")
        assert cli("exec", box, "cat", "/d/other/leaf").stdout == "x\n"

    def test_tar_from_stdin(self, cli: Command, box: str) -> None:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            entry = tarfile.TarInfo("unpacked")
            entry.size = 3
            tar.addfile(entry, io.BytesIO(b"abc"))
        cli("cp", "-", f"{box}:/tmp", input=out.getvalue())
        assert cli("exec", box, "cat", "/tmp/unpacked").stdout == "abc"

    def test_a_megabyte_there_and_back(self, cli: Command, box: str, tmp_path: Path) -> None:
        data = os.urandom(1 << 20)
        (tmp_path / "blob").write_bytes(data)
        cli("cp", str(tmp_path / "blob"), f"{box}:/blob")
        cli("cp", f"{box}:/blob", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == data

    def test_into_a_created_container_and_start(
        self, cli: Command, name: str, tmp_path: Path
    ) -> None:
        (tmp_path / "note").write_text("before start\n")
        cli("create", "--name", name, "busybox", "cat", "/note")
        cli("cp", str(tmp_path / "note"), f"{name}:/note")
        assert cli("start", "-a", name).stdout == "before start\n"

    def test_into_a_volume_of_a_stopped_container(
        self, docker: Command, unique: Callable[[str], str], tmp_path: Path
    ) -> None:
        holder, volume = unique("holder"), unique("vol")
        docker("create", "--name", holder, "-v", f"{volume}:/vol", *SLEEP)
        (tmp_path / "f").write_text("x\n")
        docker("cp", str(tmp_path / "f"), f"{holder}:/vol/f")
        assert docker("run", "--rm", "-v", f"{volume}:/v", "busybox", "cat", "/v/f").stdout == "x\n"

    def test_into_a_missing_directory(self, cli: Command, box: str, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("x")
        cli.fails("cp", str(tmp_path / "f"), f"{box}:/no/such/dir", code=1)

    def test_a_read_only_root(self, docker: Command, name: str, tmp_path: Path) -> None:
        docker("run", "-d", "--name", name, "--read-only", *SLEEP)
        (tmp_path / "f").write_text("x")
        docker.fails("cp", str(tmp_path / "f"), f"{name}:/f", code=1).says("read-only")

    def test_a_read_only_volume(self, docker: Command, name: str, tmp_path: Path) -> None:
        docker("run", "-d", "--name", name, "-v", f"{tmp_path}:/mnt:ro", *SLEEP)
        (tmp_path / "f").write_text("x")
        docker.fails("cp", str(tmp_path / "f"), f"{name}:/mnt/g", code=1).says("read-only")
        assert not (tmp_path / "g").exists()

    def test_between_containers_is_refused(self, cli: Command, box: str) -> None:
        cli.fails("cp", f"{box}:/d", f"{box}:/e").says(
            "copying between containers is not supported"
        )


def one_entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, link
        entry.size = 4 if kind == tarfile.REGTYPE else 0
        tar.addfile(entry, io.BytesIO(b"evil"))
    return out.getvalue()


class TestArchiveEndpoints:
    @pytest.fixture
    def target(self, docker: Command, name: str) -> str:
        docker("run", "-d", "--name", name, *SLEEP)
        return name

    def test_stat(self, api: Api, target: str) -> None:
        answer = api.request("HEAD", f"/v1.41/containers/{target}/archive?path=/etc/passwd")
        assert answer.status == 200
        stat = json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))
        assert stat["name"] == "passwd"
        assert stat["size"] > 0
        assert stat["mode"] & 0o777 == 0o644
        assert stat["linkTarget"] == ""

    def test_stat_of_a_directory(self, api: Api, target: str) -> None:
        answer = api.request("HEAD", f"/v1.41/containers/{target}/archive?path=/etc")
        stat = json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))
        assert stat["mode"] >> 31 == 1  # Go's os.ModeDir

    @pytest.mark.parametrize(
        "evil",
        [
            one_entry("../../../../tmp/pierhead-escaped"),
            one_entry("/tmp/../../../../tmp/pierhead-escaped"),
        ],
        ids=["dots", "absolute"],
    )
    def test_hostile_names_stay_inside(self, api: Api, target: str, evil: bytes) -> None:
        api.request("PUT", f"/v1.41/containers/{target}/archive?path=/tmp", evil)
        assert not Path("/tmp/pierhead-escaped").exists()
        assert not Path("/pierhead-escaped").exists()

    def test_hostile_link_stays_inside(self, api: Api, target: str, tmp_path: Path) -> None:
        put = f"/v1.41/containers/{target}/archive?path=/"
        api.request("PUT", put, one_entry("out", tarfile.SYMTYPE, str(tmp_path)))
        api.request("PUT", put, one_entry("out/escaped"))
        api.request("PUT", f"{put}out", one_entry("escaped"))
        assert list(tmp_path.iterdir()) == []

    def test_no_overwrite_of_a_directory(self, engine: Any, api: Api, target: str) -> None:
        answer = api.request(
            "PUT",
            f"/v1.41/containers/{target}/archive?path=/&noOverwriteDirNonDir=1",
            one_entry("etc"),
        )
        assert "cannot overwrite directory" in answer.message
        assert answer.status == 400 or not engine.is_pierd  # 500 by dockerd, for a client's fault

    def test_garbage_is_refused(self, engine: Any, api: Api, target: str) -> None:
        answer = api.request(
            "PUT", f"/v1.41/containers/{target}/archive?path=/tmp", b"this is no tar" * 100
        )
        assert answer.message
        assert answer.status == 400 or not engine.is_pierd

    def test_path_is_needed(self, api: Api, target: str) -> None:
        for method in ("GET", "PUT"):
            answer = api.request(method, f"/v1.41/containers/{target}/archive")
            assert (answer.status, "path" in answer.message) == (400, True)
