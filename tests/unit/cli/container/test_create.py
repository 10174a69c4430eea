from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.cli.container.create import CidFile
from pierhead.cli.errors import CliError
from support.fake_cli import run
from support.wire_daemon import WireDaemon, WireRequest, chunked, failure, respond

CREATED = {"POST /containers/create": {"Id": "c1", "Warnings": ["careful"]}}


def test_create() -> None:
    result = run("create --name n --platform linux/arm64 --rm i cmd", CREATED)
    assert (result.out, result.err) == ("c1\n", "WARNING: careful\n")
    assert result.request.query == {"name": "n", "platform": "linux/arm64"}
    assert result.request.body["Cmd"] == ["cmd"]
    assert result.request.body["HostConfig"]["AutoRemove"] is True


@pytest.mark.parametrize(
    ("line", "code", "err"),
    [
        (
            "create --pull x i",
            125,
            'pier: invalid pull option: \'x\': must be one of "always", "missing" or '
            "\"never\"\n\nRun 'pier create --help' for more information\n",
        ),
        (
            "create --pid x i",
            125,
            "pier: --pid: invalid PID mode\n\nRun 'pier create --help' for more information\n",
        ),
        (
            "create --cpu-count 1 i",
            1,
            '"--cpu-count" is only supported on a Docker daemon running on windows, '
            "but the Docker daemon is running on linux\n",
        ),
        ("create --pull never i", 1, "Error response from daemon: No such image: i:latest\n"),
    ],
)
def test_refusals(line: str, code: int, err: str) -> None:
    answers = {"POST /containers/create": (404, "No such image: i:latest")}
    result = run(line, answers)
    assert (result.code, result.err) == (code, err)


def test_proxies_of_the_config() -> None:
    config = {"proxies": {"default": {"httpProxy": "http://p", "noProxy": "x"}}}
    body = run("create -e no_proxy=mine i", CREATED, config=config).request.body
    assert body["Env"] == [
        "HTTP_PROXY=http://p",
        "http_proxy=http://p",
        "NO_PROXY=x",
        "no_proxy=mine",
    ]


def test_a_missing_image_is_pulled(tmp_path: Path) -> None:
    pulled = False

    def create(request: WireRequest) -> bytes:
        if not pulled:
            return failure("404 Not Found", "No such image: i:latest")
        return respond({"Id": "c1"}, "201 Created")

    def pull(request: WireRequest) -> bytes:
        nonlocal pulled
        pulled = True
        return chunked(
            b'{"status":"Pulling"}\n', b'{"status":"Downloading","progressDetail":{"a":1}}'
        )

    daemon = WireDaemon(tmp_path, {"POST /containers/create": create, "POST /images/create": pull})
    done = daemon.pier("create", "i")
    assert (done.returncode, done.stdout) == (0, b"c1\n")
    assert done.stderr.startswith(b"Unable to find image 'i:latest' locally\n")
    assert daemon.requests[1].query == "fromImage=docker.io%2Flibrary%2Fi&tag=latest"
    assert daemon.requests[1].headers["x-registry-auth"] == "e30="
    daemon.close()


@pytest.mark.parametrize("words", ["--pull never i", "--pull= i", "a" * 64])
def test_what_is_not_pulled(words: str) -> None:
    result = run(f"create {words}", {"POST /containers/create": (404, "No such image: i:latest")})
    assert result.err == "Error response from daemon: No such image: i:latest\n"


def test_the_platform_is_checked_first() -> None:
    result = run("create --platform vax i", {})
    assert result.err == (
        'error parsing specified platform: "vax": unknown operating system or architecture: '
        "invalid argument\n"
    )
    assert run("create --platform Linux/AARCH64 i", CREATED).request.query == {
        "platform": "linux/arm64"
    }


def test_another_404_is_no_missing_image() -> None:
    result = run("create i", {"POST /containers/create": (404, "network x not found")})
    assert result.err == "Error response from daemon: network x not found\n"


def test_the_id_file(tmp_path: Path) -> None:
    path = tmp_path / "cid"
    assert run(f"create --cidfile {path} i", CREATED).code == 0
    assert path.read_text() == "c1"
    result = run(f"create --cidfile {path} i", CREATED)
    assert result.err == (
        f"container ID file found, make sure the other container isn't running or delete {path}\n"
    )
    with pytest.raises(
        CliError, match="failed to create the container ID file: open /nonexistent/x"
    ):
        CidFile("/nonexistent/x")


def test_no_id_file_where_nothing_was_made(tmp_path: Path) -> None:
    path = tmp_path / "cid"
    run(f"create --cidfile {path} i", {"POST /containers/create": (400, "no")})
    assert not path.exists()


def test_a_bad_reference_is_told_as_the_docker_cli_does() -> None:
    answers = {"POST /containers/create": (400, "invalid reference format")}
    assert run("create a:b:c", answers).err == "invalid reference format\n"


def test_the_api_socket_inside() -> None:
    body = run("create --use-api-socket i", CREATED).request.body
    assert body["HostConfig"]["Mounts"][0]["Source"] == "/run/test.sock"
