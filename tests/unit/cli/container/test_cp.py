"""Copies against a scripted daemon; the rules for paths are tested in ``test_copy_paths``."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pierhead.cli.container.copy_paths import MODE_DEVICE, MODE_DIR, MODE_SYMLINK
from support.wire_daemon import WireDaemon, failure, respond


def stat_header(mode: int, link: str = "") -> dict[str, str]:
    value = {"name": "x", "size": 1, "mode": mode, "mtime": "", "linkTarget": link}
    text = base64.b64encode(json.dumps(value).encode()).decode()
    return {"X-Docker-Container-Path-Stat": text}


def tar(**files: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
    return data.getvalue()


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getnames()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[WireDaemon]:
    (tmp_path / "sock").mkdir()
    server = WireDaemon(
        tmp_path / "sock",
        {
            "GET /containers/c/archive": respond(tar(f="content"), headers=stat_header(0o644)),
            "PUT /containers/c/archive": respond(b""),
        },
    )
    yield server
    server.close()


def test_from_a_container(daemon: WireDaemon, tmp_path: Path) -> None:
    done = daemon.pier("cp", "c:/d/f", str(tmp_path / "new"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "new").read_text() == "content"
    assert daemon.requests[0].query == "path=%2Fd%2Ff"
    done = daemon.pier("cp", "-q=false", "c:/d/f", str(tmp_path))
    assert done.stderr == f"Successfully copied 10.2kB to {tmp_path}\n".encode()
    assert (tmp_path / "f").read_text() == "content"


def test_to_stdout(daemon: WireDaemon) -> None:
    assert names(daemon.pier("cp", "c:/d/f", "-").stdout) == ["f"]


def test_a_link_is_followed(daemon: WireDaemon, tmp_path: Path) -> None:
    daemon.answers["HEAD /containers/c/archive"] = respond(
        b"", headers=stat_header(MODE_SYMLINK, "f")
    )
    assert daemon.pier("cp", "-L", "c:/d/link", str(tmp_path)).returncode == 0
    assert daemon.requests[-1].query == "path=%2Fd%2Ff"
    assert (tmp_path / "link").read_text() == "content"


def test_into_a_directory(daemon: WireDaemon, tmp_path: Path) -> None:
    daemon.answers["HEAD /containers/c/archive"] = respond(b"", headers=stat_header(MODE_DIR))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").touch()
    done = daemon.pier("cp", "-a", "-q=false", str(tmp_path / "a"), "c:/t")
    assert done.stderr.startswith(b"Successfully copied ") and done.stderr.endswith(b" to c:/t\n")
    assert daemon.requests[-1].query == "path=%2Ft&noOverwriteDirNonDir=true&copyUIDGID=true"
    assert names(daemon.requests[-1].body) == ["a", "a/b"]


def test_under_a_new_name(daemon: WireDaemon, tmp_path: Path) -> None:
    daemon.answers["HEAD /containers/c/archive"] = failure("404 Not Found", "")
    daemon.answers["HEAD /_ping"] = respond(b"", headers={"Api-Version": "1.56"})
    (tmp_path / "a").touch()
    assert daemon.pier("cp", str(tmp_path / "a"), "c:/t/new").returncode == 0
    assert daemon.requests[-1].query == "path=%2Ft&noOverwriteDirNonDir=true"
    assert names(daemon.requests[-1].body) == ["new"]


def test_from_stdin(daemon: WireDaemon) -> None:
    daemon.answers["HEAD /containers/c/archive"] = respond(b"", headers=stat_header(MODE_DIR))
    assert daemon.pier("cp", "-", "c:/t", stdin=b"tar").returncode == 0
    assert daemon.requests[-1].body == b"tar"
    daemon.answers["HEAD /containers/c/archive"] = respond(b"", headers=stat_header(0o644))
    done = daemon.pier("cp", "-", "c:/t", stdin=b"tar")
    assert done.stderr == b'destination "c:/t" must be a directory\n'


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("a", "b", "must specify at least one container source"),
        ("c:/a", "d:/b", "copying between containers is not supported"),
        ("", "c:/b", "source can not be empty"),
        ("c:/a", "", "destination can not be empty"),
        ("/nonexistent", "c:/b", "lstat /nonexistent: no such file or directory"),
        (
            "c:/a",
            "/nonexistent/b",
            'invalid output path: directory "/nonexistent" does not exist',
        ),
        (
            "c:/a",
            "/dev/null",
            'invalid output path: "/dev/null" must be a directory or a regular file: got a device',
        ),
    ],
)
def test_refusals(daemon: WireDaemon, source: str, target: str, message: str) -> None:
    done = daemon.pier("cp", source, target)
    assert (done.returncode, done.stderr.decode()) == (1, message + "\n")


def test_onto_a_device(daemon: WireDaemon, tmp_path: Path) -> None:
    daemon.answers["HEAD /containers/c/archive"] = respond(b"", headers=stat_header(MODE_DEVICE))
    done = daemon.pier("cp", str(tmp_path), "c:/dev/x")
    assert done.stderr == (
        b'destination "c:/dev/x" must be a directory or a regular file: got a device\n'
    )
