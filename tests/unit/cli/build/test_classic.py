from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pierhead.cli.build import classic, perform
from pierhead.cli.build.command import BUILD, request_of
from pierhead.cli.errors import CliError
from pierhead.cli.flags import parse
from support.fake_cli import FakeCli, FakeClient

ANSWER = [{"stream": "Step 1/1 : FROM x\n"}, {"aux": {"ID": "sha256:1"}}]


def built(
    *words: str, answer: list[dict[str, Any]] = ANSWER, quiet: bool = False
) -> tuple[FakeCli, Any]:
    options, args = parse(BUILD.flags, words)
    request = request_of(options, args[0])
    client = FakeClient({"POST /build": answer}, "1.41")
    cli = FakeCli("build", client, {"auths": {"r": {"auth": "dTpw"}}}, "/x")
    located = perform.prepare(request)
    classic.build(cli, options, request, located, quiet=quiet)  # type: ignore[arg-type]
    return cli, client.requests[0]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    root = tmp_path / "c"
    root.mkdir()
    for name in ("Dockerfile", "a", "skipped"):
        (root / name).write_text(name)
    (root / ".dockerignore").write_text("skipped\nDockerfile\n")
    return root


def members(body: bytes) -> dict[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar if one.isreg()}  # type: ignore[union-attr]


def test_the_request(context: Path) -> None:
    cli, request = built(
        *("-t", "x", "--build-arg", "A=1", "--label", "l=m", "-m", "64m", "--no-cache"),
        *("--ulimit", "nofile=1:2", "--add-host", "h:1.2.3.4", "--cache-from", "y"),
        str(context),
    )
    assert request.query == {
        "t": ["x"],
        "buildargs": {"A": "1"},
        "labels": {"l": "m"},
        "memory": 64 << 20,
        "nocache": True,
        "networkmode": "default",
        "rm": True,
        "ulimits": '[{"Name":"nofile","Soft":1,"Hard":2}]',
        "extrahosts": ["h:1.2.3.4"],
        "cachefrom": '["y"]',
        "dockerfile": "Dockerfile",
    }
    assert set(members(request.body)) == {"a", "Dockerfile", ".dockerignore"}
    assert cli.written == [b"Step 1/1 : FROM x\n"]
    config = request.headers["X-Registry-Config"]
    import base64

    assert json.loads(base64.urlsafe_b64decode(config))["r"]["username"] == "u"


def test_a_dockerfile_from_elsewhere(context: Path, tmp_path: Path) -> None:
    (tmp_path / "D").write_text("FROM y")
    _, request = built("-f", str(tmp_path / "D"), str(context))
    name = request.query["dockerfile"]
    assert name.startswith(".dockerfile.") and members(request.body)[name] == b"FROM y"


def test_quiet_and_the_id(context: Path, tmp_path: Path) -> None:
    path = tmp_path / "id"
    cli, request = built(
        "--iidfile", str(path), str(context), answer=[{"stream": "sha256:2\n"}], quiet=True
    )
    assert request.query["q"] is True
    assert cli.written == [b"sha256:2\n"] and path.read_text() == "sha256:2"


def test_urls() -> None:
    _, request = built("-f", "D", "https://x/y.git")
    assert request.query["remote"] == "https://x/y.git" and request.query["dockerfile"] == "D"


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["--secret", "id=a,env=PATH"], "--secret"),
        (["-o", "x"], "--output"),
        (["--platform", "a/b,c/d"], "--platform with several platforms"),
        (["--sbom", "true"], "--attest"),
    ],
)
def test_what_docker_cannot_do(words: list[str], flag: str, context: Path) -> None:
    with pytest.raises(CliError, match=f"and {flag} needs more"):
        built(*words, str(context))


def test_errors(context: Path) -> None:
    with pytest.raises(CliError, match="no"):
        built(str(context), answer=[{"error": "no", "errorDetail": {"message": "no"}}])
