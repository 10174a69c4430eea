from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

import pytest

from pierhead.cli.build import sources
from pierhead.cli.build.request import Request
from pierhead.cli.errors import CliError


def request(context: str, dockerfile: str = "") -> Request:
    made = Request()
    made.context, made.dockerfile = context, dockerfile
    return made


@pytest.mark.parametrize(
    ("text", "git", "remote"),
    [
        ("https://github.com/a/b.git", True, True),
        ("https://github.com/a/b.git#main:dir", True, True),
        ("https://x/y.git", True, True),
        ("https://x/y.tar.gz", False, True),
        ("git://x/y", True, True),
        ("git@github.com:a/b", True, True),
        ("user@host:path/x", True, True),
        ("github.com/a/b", True, True),
        ("./x", False, False),
        ("a:b", False, False),
    ],
)
def test_urls(text: str, git: bool, remote: bool) -> None:
    assert sources.is_git(text) is git and sources.is_remote(text) is remote


def test_archives() -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a"))
    assert sources.is_archive(data.getvalue()[:512])
    assert sources.is_archive(b"\x1f\x8b\x08...") and sources.is_archive(b"BZh9")
    assert not sources.is_archive(b"FROM scratch\n") and not sources.is_archive(b"x" * 512)


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "Dockerfile").touch()
    found = sources.locate(request(str(tmp_path)))
    assert found.fields == {
        "context": "context",
        "context_name": str(tmp_path),
        "dockerfile": "Dockerfile",
    }
    assert found.directories == {"context": str(tmp_path)}
    found = sources.locate(request(str(tmp_path), str(tmp_path / "sub" / "D")))
    assert found.fields["dockerfile"] == "sub/D" and "dockerfile_source" not in found.fields


def test_a_dockerfile_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "context")
    found = sources.locate(request(str(tmp_path / "context"), str(tmp_path / "D")))
    assert found.fields["dockerfile_source"] == "dockerfile" and found.fields["dockerfile"] == "D"
    assert found.directories["dockerfile"] == str(tmp_path)


def test_behind_a_symlink_it_counts_as_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "link").symlink_to(tmp_path / "real")
    found = sources.locate(
        request(str(tmp_path / "context"), str(tmp_path / "context" / "link" / "D"))
    )
    assert found.fields["dockerfile_source"] == "dockerfile"


def test_the_lower_case_name(tmp_path: Path) -> None:
    (tmp_path / "dockerfile").touch()
    assert sources.locate(request(str(tmp_path))).fields["dockerfile"] == "dockerfile"


def test_a_url() -> None:
    found = sources.locate(request("https://x/y.git", "D"))
    assert found.fields == {"context": "https://x/y.git", "dockerfile": "D"}


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    given: list[bytes] = []

    def read(fd: int, size: int) -> bytes:
        if not given:
            return b""
        data, given[0] = given[0][:size], given[0][size:]
        if not given[0]:
            given.pop()
        return data

    monkeypatch.setattr(sources.posix, "read", read)
    return given


def test_stdin(stdin: list[bytes], tmp_path: Path) -> None:
    stdin.append(b"FROM scratch\n" * 100)
    found = sources.locate(request("-"))
    assert base64.b64decode(found.fields["dockerfile_text"]) == b"FROM scratch\n" * 100
    assert found.fields["context"] == ""
    stdin.append(b"\x1f\x8b\x08" + b"z" * 600)
    found = sources.locate(request("-", "D"))
    assert found.stdin_tar and len(found.head) == 512
    assert found.fields == {"context": "context", "context_tar": True, "dockerfile": "D"}
    stdin[:] = [b"FROM x\n"]
    found = sources.locate(request(str(tmp_path), "-"))
    assert base64.b64decode(found.fields["dockerfile_text"]) == b"FROM x\n"
    assert "dockerfile" not in found.fields


def test_named_contexts(tmp_path: Path) -> None:
    made = request(str(tmp_path))
    made.contexts = {
        "a": "docker-image://x",
        "b": str(tmp_path),
        "context": str(tmp_path),
        "c": "https://x/y.git",
        "d": "oci-layout:///x/../y:1@sha256:0",
    }
    found = sources.locate(made)
    assert found.fields["named_contexts"] == {
        "a": "docker-image://x",
        "b": "local:b",
        "context": "local:named:context",
        "c": "https://x/y.git",
        "d": "oci-layout:///y:1@sha256:0",
    }
    assert set(found.directories) == {"context", "b", "named:context", "oci-layout:/y"}


@pytest.mark.parametrize(
    ("context", "dockerfile", "told"),
    [
        ("-", "-", "can't use stdin for both"),
        ("/proc/nothing", "", 'path "/proc/nothing" not found'),
        ("/dev/null", "", "must be a directory"),
    ],
)
def test_complaints(context: str, dockerfile: str, told: str) -> None:
    with pytest.raises(CliError, match=told):
        sources.locate(request(context, dockerfile))


def test_empty_stdin(stdin: list[bytes]) -> None:
    with pytest.raises(CliError, match="failed to peek context header from STDIN: EOF"):
        sources.locate(request("-"))
    stdin.append(b"FROM x\n")
    with pytest.raises(CliError, match="ambiguous Dockerfile source"):
        sources.locate(request("-", "D"))
