"""docker build with the classic builder (``POST /build``): stock command lines, docker-py, HTTP."""

from __future__ import annotations

import contextlib
import functools
import http.server
import io
import json
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.command import Command
from support.http import Api
from support.registries import DockerRegistry, need, registry

pytestmark = pytest.mark.root

DOCKERFILE = """\
FROM busybox AS first
ARG WORD=none
ENV SAID=$WORD
COPY . /src
RUN find /src -type f | sort; echo "err $SAID" >&2; cat /etc/hosts
FROM busybox
COPY --from=first /src/kept /kept
WORKDIR /work
CMD ["cat", "/kept"]
"""


@pytest.fixture(params=["docker20", "docker"])
def classic(request: pytest.FixtureRequest) -> Command:
    """Stock command lines, told to use the classic builder."""
    command: Command = request.getfixturevalue(request.param)
    return Command(command.name, command.argv, {**command.env, "DOCKER_BUILDKIT": "0"})


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "sub").mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "kept").write_text(f"{folder}\n")
    (folder / "sub" / "ignored").write_text("no\n")
    (folder / ".dockerignore").write_text("sub\nDockerfile\n.dockerignore\n")
    return folder


def tar_of(files: dict[str, str | bytes], mode: str = "w") -> bytes:
    """A context as a tar; ``mode`` as of ``tarfile.open``."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def build(api: Api, body: bytes, query: str = "", **more: Any) -> list[dict[str, Any]]:
    """The messages of a build by plain HTTP; fails the test if it doesn't begin."""
    answer = api.post(f"/build?{query}", body, timeout_s=120, **more)
    assert answer.status == 200, answer
    return [json.loads(line) for line in answer.body.splitlines()]


def text_of(messages: list[dict[str, Any]]) -> str:
    return "".join(message.get("stream", "") for message in messages)


def dockerfile(text: str, **files: str) -> bytes:
    return tar_of({"Dockerfile": text, **files})


def test_a_build(
    classic: Command, context: Path, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    tag = unique("classic")
    iid = tmp_path / "iid"
    arguments = ("--build-arg", f"WORD={tag}", "--add-host", "far:192.0.2.1", "--label", "a=b c")
    more = ("-t", tag, "-t", f"{tag}:two", "--iidfile", str(iid), str(context))
    told = classic("build", *arguments, *more).stdout
    assert "Step 1/10 : FROM busybox AS first\n ---> " in told
    assert "\n/src/kept\n" in told
    assert "ignored" not in told
    assert "192.0.2.1\tfar" in told
    assert f"Successfully tagged {tag}:latest\nSuccessfully tagged {tag}:two\n" in told
    found = json.loads(classic("image", "inspect", tag).stdout)[0]
    assert found["Id"] == iid.read_text()
    assert found["Config"]["Labels"] == {"a": "b c"}
    assert found["Config"]["WorkingDir"] == "/work"
    assert classic("run", "--rm", tag).stdout == f"{context}\n"

    again = classic("build", *arguments, *more).stdout
    assert again.count(" ---> Using cache\n") == 8
    assert classic("build", "-q", *arguments, str(context)).out == found["Id"]
    (context / "kept").write_text(f"changed {context}\n")
    told = classic("build", *arguments, "-t", tag, str(context)).stdout
    assert told.count(" ---> Using cache\n") == 2  # ARG, ENV
    assert classic("run", "--rm", tag).stdout == f"changed {context}\n"


def test_dockerfiles_from_elsewhere(classic: Command, context: Path, tmp_path: Path) -> None:
    other = tmp_path / "Other"
    other.write_text("FROM busybox\nCOPY kept /\nRUN cat kept && ls -a /\n")
    told = classic("build", "-f", str(other), str(context)).stdout
    assert f"{context}\n" in told
    assert "Successfully built" in told
    told = classic("build", "-f", "-", str(context), input=other.read_bytes()).stdout
    assert "Successfully built" in told
    told = classic("build", "-", input="FROM busybox\nRUN echo from stdin\n").stdout
    assert "from stdin\n" in told or "Using cache" in told


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_contexts_from_stdin(docker: Command, mode: str) -> None:
    body = tar_of({"Dockerfile": "FROM busybox\nCOPY f /\nRUN cat /f\n", "f": mode}, mode)
    told = docker("build", "-", input=body, env={"DOCKER_BUILDKIT": "0"}).stdout
    assert f"{mode}Removing intermediate" in told


def test_failures(classic: Command, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo said && exit 9\n")
    failed = classic.fails("build", str(context), code=9)
    assert "said\n" in failed.stdout
    failed.says("The command '/bin/sh -c echo said && exit 9' returned a non-zero code: 9")
    (context / "Dockerfile").write_text("FROM busybox\nFOO bar\n")
    classic.fails("build", str(context)).says("unknown instruction: FOO")
    (context / "Dockerfile").write_text("FROM busybox\nCOPY nope /\n")
    words = "COPY failed: file not found in build context or excluded by .dockerignore: stat nope"
    classic.fails("build", str(context)).says(words)
    classic.fails("build", "--target", "x", str(context)).says("build target x")


def test_the_stream_is_dockers(api: Api, busybox: str) -> None:
    body = dockerfile("FROM busybox\nENV a=b\nRUN echo hi\n")
    messages = build(api, body, "t=stream&nocache=1")
    assert messages[:2] == [{"stream": "Step 1/3 : FROM busybox"}, {"stream": "\n"}]
    running = [text for text in map(text_of, [[one] for one in messages]) if "Running" in text]
    assert len(running) == 2
    short = text_of(messages).split("Successfully built ")[1].split("\n")[0]
    [aux] = [message["aux"]["ID"] for message in messages if "aux" in message]
    assert aux.startswith(f"sha256:{short}")
    assert api.get("/images/stream/json").json["Id"] == aux
    # Intermediate images are there as Docker's are: parents, without names.
    parent = api.get(f"/images/{aux}/json").json["Parent"]
    assert f" ---> {parent.removeprefix('sha256:')[:12]}\n" in text_of(messages)
    assert text_of(build(api, body, "q=1")) == f"{aux}\n"


def test_unused_arguments_are_told(api: Api, busybox: str) -> None:
    messages = build(api, dockerfile("FROM busybox\nARG a\n"), 'buildargs={"a":"1","b":"2"}')
    assert "[Warning] One or more build-args [b] were not consumed\n" in text_of(messages)


def test_refusals_have_a_status(api: Api, busybox: str) -> None:
    for query, words in (
        ("", "Cannot locate specified Dockerfile: Dockerfile"),
        ("dockerfile=x/y", "Cannot locate specified Dockerfile: x/y"),
        ("t=FOO", "repository name"),
        ("buildargs=[", "error reading build args"),
        ("version=7", 'invalid version "7"'),
    ):
        answer = api.post(f"/build?{query}", tar_of({"f": ""}))
        assert answer.status >= 400
        assert words in answer.message
    assert (
        api.post("/build", dockerfile("")).message == "the Dockerfile (Dockerfile) cannot be empty"
    )
    assert api.post("/build", b"garbage" * 200).status >= 400
    lower = tar_of({"dockerfile": "FROM busybox\n"})
    assert "Successfully built" in text_of(build(api, lower))


def test_the_step_ends_with_its_client(api: Api, busybox: str) -> None:
    marker = f"sleep 4{time.time_ns() % 1_000_000_000}"
    body = dockerfile(f"FROM busybox\nRUN echo finished > /f\nRUN echo begun; {marker}\n")
    head = f"POST /build HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with api.connect(30) as connection:
        connection.sendall(head + body)
        seen = b""
        while b"begun" not in seen:
            data = connection.recv(65536)
            assert data, seen
            seen += data
    deadline = time.monotonic() + 30
    while pids := subprocess.run(["pgrep", "-fx", marker], capture_output=True).stdout:
        assert time.monotonic() < deadline, pids
        time.sleep(0.05)
    told = text_of(build(api, dockerfile("FROM busybox\nRUN echo finished > /f\n")))
    assert "Using cache" in told


def test_cancel_by_id(api: Api, busybox: str) -> None:
    body = dockerfile("FROM busybox\nRUN echo begun; sleep 300\n")
    answers: list[bytes] = []

    def ask() -> None:
        answers.append(api.post("/build?buildid=mine", body, timeout_s=120).body)

    worker = threading.Thread(target=ask)
    worker.start()
    deadline = time.monotonic() + 30
    while worker.is_alive():
        assert api.post("/build/cancel?id=mine").status == 200
        worker.join(0.2)
        assert time.monotonic() < deadline
    assert b"cancel" in answers[0]


def test_usage_and_prune(docker: Command, api: Api, busybox: str) -> None:
    build(api, dockerfile("FROM busybox\nRUN echo usage > /usage\n"))
    assert any(one["Type"] == "regular" for one in api.get("/system/df").json["BuildCache"])
    assert "Build Cache" in docker("system", "df").stdout
    since = api.get("/info").json["SystemTime"]
    answer = api.post("/build/prune?all=1").json
    assert answer["CachesDeleted"]
    assert api.get("/system/df").json["BuildCache"] == []
    docker("builder", "prune", "-f")
    events = api.get(f'/events?since={since}&until=0s&filters={{"type":["builder"]}}').body
    assert json.loads(events.splitlines()[0])["Action"] == "prune"


@contextlib.contextmanager
def web(folder: Path) -> Iterator[str]:
    """A web server for ``folder``; its URL."""
    handler = functools.partial(_Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_remote_contexts(api: Api, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo by itself\n")
    files = {"d/Other": "FROM busybox\nCOPY f /\nRUN cat /f\n", "f": "from the tar\n"}
    (tmp_path / "context.tgz").write_bytes(tar_of(files, "w:gz"))
    with web(tmp_path) as url:
        told = text_of(build(api, b"", f"remote={url}/Dockerfile&nocache=1"))
        assert "by itself\n" in told
        told = text_of(build(api, b"", f"remote={url}/context.tgz&dockerfile=d/Other&nocache=1"))
        assert "from the tar\n" in told
        answer = api.post(f"/build?remote={url}/nosuch", b"")
        assert answer.status >= 400
        assert "404" in answer.message


def test_git_contexts(api: Api, busybox: str, tmp_path: Path) -> None:
    need("git")
    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    (work / "sub" / "Dockerfile").write_text("FROM busybox\nRUN echo from git\n")

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *arguments], cwd=work, check=True, capture_output=True)

    git("init", "-q", "-b", "trunk", ".")
    git("add", ".")
    git("commit", "-q", "-m", "x")
    git("clone", "-q", "--bare", ".", str(tmp_path / "x.git"))
    git("--git-dir", str(tmp_path / "x.git"), "update-server-info")
    with web(tmp_path) as url:
        told = text_of(build(api, b"", f"remote={url}/x.git%23trunk:sub&nocache=1"))
        assert "from git\n" in told


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with registry(tmp_path_factory.mktemp("guarded"), htpasswd={"user": "pass word"}) as started:
        yield started


def test_a_base_from_a_registry_that_asks_who_it_is(
    classic: Command, guarded: DockerRegistry, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    name = f"{guarded.host}/e2e/{unique('base')}:1"
    env = {"DOCKER_CONFIG": str(tmp_path / "config")}
    login = ("login", "-u", "user", "--password-stdin", guarded.host)
    classic(*login, input="pass word", env=env)
    classic("tag", "busybox", name)
    classic("push", name, env=env)
    classic("rmi", name)
    text = f"FROM {name}\nRUN echo on it\n"
    failed = classic.fails("build", "-", input=text)
    failed.says("no basic auth credentials")
    told = classic("build", "--no-cache", "-", input=text, env=env).stdout
    assert "Pulling from e2e/base" in told
    assert "on it\n" in told
    classic("rmi", "-f", name)


def test_docker_py(docker_py: Any, unique: Callable[[str], str], tmp_path: Path) -> None:
    docker = pytest.importorskip("docker")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY f /\nRUN >&2 echo loud\n")
    (tmp_path / "f").write_text("x")
    image, log = docker_py.images.build(
        path=str(tmp_path), tag=unique("sdk"), gzip=True, rm=True, nocache=True, labels={"a": "b"}
    )
    assert image.labels == {"a": "b"}
    assert {"stream": "\x1b[91mloud\n\x1b[0m"} in list(log)
    script = io.BytesIO(b"FROM busybox\nENV FOO=bar\nRUN touch baz\n")
    first, _ = docker_py.images.build(fileobj=script, tag=unique("sdk"))

    def cached(*images: str) -> int:
        script.seek(0)
        _, log = docker_py.images.build(fileobj=script, cache_from=list(images))
        return sum("Using cache" in line.get("stream", "") for line in log)

    assert cached(first.tags[0]) == 2
    assert cached("nosuchtag") == 0
    with pytest.raises(docker.errors.BuildError, match="non-zero code: 3"):
        docker_py.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 3\n"))


def test_networks(docker_py: Any, busybox: str, unique: Callable[[str], str]) -> None:
    docker = pytest.importorskip("docker")
    network = docker_py.networks.create(unique("net"))
    target = docker_py.containers.run(
        busybox, "sleep 60", detach=True, init=True, network=network.name, name=unique("target")
    )
    script = f"FROM busybox\nRUN ping -c1 -w5 {target.name}\n".encode()

    def ping(mode: str) -> str:
        _, log = docker_py.images.build(fileobj=io.BytesIO(script), network_mode=mode, nocache=True)
        return "".join(line.get("stream", "") for line in log)

    assert "1 packets received" in ping(network.id)
    for mode in ("none", "nosuchnetwork"):
        with pytest.raises(docker.errors.BuildError, match=r"non-zero|not found"):
            ping(mode)
