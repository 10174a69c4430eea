"""BuildKit's door with the programs that use it: docker buildx, Compose, docker build 20.10."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from support import plugins
from support.command import Command, Result
from support.http import Api

pytestmark = pytest.mark.root

DOCKERFILE = """\
FROM busybox AS made
ARG WORD=none
RUN --mount=type=secret,id=token test "$(cat /run/secrets/token)" = psst && echo "$WORD" >/word
FROM busybox
COPY --from=made /word /word
COPY kept /kept
CMD ["cat", "/word", "/kept"]
"""


@pytest.fixture(scope="module")
def buildx(docker: Command, tmp_path_factory: pytest.TempPathFactory) -> Command:
    env = plugins.need("buildx", config=tmp_path_factory.mktemp("buildx"))
    return Command(f"{docker.name} buildx", [*docker.argv, "buildx"], {**docker.env, **env})


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "kept").write_text(f"{folder}\n")
    (folder / "ignored").write_text("no\n")
    (folder / ".dockerignore").write_text("ignored\n")
    (tmp_path / "token").write_text("psst")
    return folder


def secret(context: Path) -> str:
    return f"id=token,src={context.parent / 'token'}"


def run(docker: Command, image: str) -> str:
    return docker("run", "--rm", image).stdout


def steps(done: Result) -> dict[str, str]:
    """From plain progress: step → how it ended."""
    names: dict[str, str] = {}
    ends: dict[str, str] = {}
    for line in done.stderr.splitlines():
        number, _, text = line.partition(" ")
        if number.startswith("#") and number not in names and text.startswith("["):
            names[number] = text
        elif number in names and text.split(" ")[0] in {"DONE", "CACHED", "ERROR:"}:
            ends[names[number]] = text.split(" ")[0]
    return ends


def test_build(buildx: Command, docker: Command, context: Path, tmp_path: Path) -> None:
    described, image_id = tmp_path / "metadata.json", tmp_path / "iid"
    arguments = (
        "build", "--progress=plain", "--tag=bk:one", f"--secret={secret(context)}",
        "--build-arg=WORD=hello", f"--metadata-file={described}", f"--iidfile={image_id}",
        str(context),
    )  # fmt: skip
    first = buildx(*arguments)
    assert run(docker, "bk:one") == f"hello\n{context}\n"
    assert run(docker, image_id.read_text()) == f"hello\n{context}\n"
    told = json.loads(described.read_text())
    assert told["containerimage.digest"].startswith("sha256:")
    assert told["image.name"] == "docker.io/library/bk:one"
    assert "DONE" in steps(first).values()
    again = steps(buildx(*arguments))
    assert {end for name, end in again.items() if "[internal]" not in name} == {"CACHED"}
    (context / "ignored").write_text("still no\n")
    assert steps(buildx(*arguments)) == again


def test_failures_show_the_lines(buildx: Command, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo before; exit 7\n")
    failed = buildx.fails("build", "--progress=plain", str(context))
    failed.says(
        "before",
        "Dockerfile:2",
        ">>> RUN echo before; exit 7",
        'process "/bin/sh -c echo before; exit 7" did not complete successfully: exit code: 7',
    )
    (context / "Dockerfile").write_text("FROM busybox\nCOPY nothing /\n")
    buildx.fails("build", str(context)).says(">>> COPY nothing /", '"/nothing": not found')
    (context / "Dockerfile").write_text("FROM busybox\nCOPPY a /\n")
    buildx.fails("build", str(context)).says("unknown instruction: COPPY", "COPY")


def test_contexts_from_standard_input(buildx: Command, docker: Command, context: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in (("D", "FROM busybox\nCOPY . /c\nCMD ls /c"), ("x", "")):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    buildx("build", "-qt", "bk:tar", "-f", "D", "-", input=out.getvalue())
    assert run(docker, "bk:tar") == "D\nx\n"
    buildx("build", "-qt", "bk:in", "-", input="FROM busybox\nCMD echo from stdin\n")
    assert run(docker, "bk:in") == "from stdin\n"
    text = "FROM busybox\nCOPY kept /\nCMD cat kept\n"
    buildx("build", "-qt", "bk:file", "-f", "-", str(context), input=text)
    assert run(docker, "bk:file") == f"{context}\n"


def test_outputs_and_caches(buildx: Command, context: Path, tmp_path: Path) -> None:
    (context / "Dockerfile").write_text(
        "FROM scratch AS files\nCOPY . /d\nFROM busybox\nRUN date +%N >/n\nRUN chmod 4750 /n\n"
    )
    tree, archive, layout = tmp_path / "tree", tmp_path / "out.tar", tmp_path / "oci.tar"
    build = ("build", "--progress=plain", str(context))
    buildx(*build, "--target=files", "-o", str(tree), "-o", f"type=tar,dest={archive}")
    assert sorted(path.name for path in (tree / "d").iterdir()) == [
        ".dockerignore",
        "Dockerfile",
        "kept",
    ]
    with tarfile.open(archive) as tar:
        assert "d/kept" in tar.getnames()
    cache = f"{tmp_path / 'cache'}"
    buildx(
        *build, "-o", f"type=oci,dest={layout}", "--cache-to", f"type=local,mode=max,dest={cache}"
    )
    with tarfile.open(layout) as tar:
        assert "index.json" in tar.getnames()
    one = sum(1 for _ in Path(cache, "blobs", "sha256").iterdir())
    assert one >= 3
    buildx("prune", "-af")
    done = buildx(*build, "--cache-from", f"type=local,src={cache}")
    assert "importing cache manifest" in done.stderr
    assert [end for name, end in steps(done).items() if "RUN" in name] == ["CACHED"] * 2


def test_layouts_as_contexts(
    buildx: Command, docker: Command, context: Path, tmp_path: Path
) -> None:
    layout = tmp_path / "layout"
    (context / "Dockerfile").write_text("FROM busybox\nCOPY kept /kept\n")
    buildx("build", "-o", f"type=oci,tar=false,dest={layout}", str(context))
    assert json.loads((layout / "index.json").read_text())["manifests"]
    (context / "Dockerfile").write_text("FROM laid\nCMD cat /kept\n")
    buildx("build", "-t", "bk:laid", f"--build-context=laid=oci-layout://{layout}", str(context))
    assert run(docker, "bk:laid") == f"{context}\n"


def test_bake(buildx: Command, docker: Command, context: Path) -> None:
    (context / "base").write_text("FROM busybox\nRUN date +%N >/stamp\n")
    (context / "app").write_text("FROM base\nCOPY kept /\nCMD cat /kept /stamp\n")
    (context / "docker-bake.hcl").write_text(
        """\
        group "default" { targets = ["base", "app"] }
        target "base" {
          dockerfile = "base"
          tags = ["bk:base"]
        }
        target "app" {
          dockerfile = "app"
          contexts = { base = "target:base" }
          tags = ["bk:app"]
        }
        """
    )
    done = subprocess.run(
        [*buildx.argv, "bake"], cwd=context, env=buildx.env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    kept, stamp = run(docker, "bk:app").split()
    assert kept == str(context)
    assert docker("run", "--rm", "bk:base", "cat", "/stamp").out == stamp


def test_about_the_builder(buildx: Command, context: Path) -> None:
    assert "linux/" in buildx("ls").stdout
    inspected = buildx("inspect").stdout
    assert "running" in inspected
    assert "Driver:" in inspected
    name = f"about-{time.time_ns()}"
    (context / "Dockerfile").write_text(f"FROM busybox\nRUN echo {name}\n")
    buildx("build", "--progress=plain", str(context))
    assert "Total:" in buildx("du").stdout
    assert "Total:" in buildx("prune", "-f", "--filter", "until=1h").stdout
    if "BUILD ID" not in buildx("history", "ls", check=False).stdout:
        pytest.skip("this buildx knows no history")
    assert "Completed" in buildx("history", "ls").lines[1]
    logs = buildx("history", "logs")
    assert name in logs.stdout + logs.stderr
    ref = buildx("history", "inspect", "--format", "{{.Ref}}").out
    buildx("history", "rm", ref)
    assert ref not in buildx("history", "ls").stdout


def test_check(buildx: Command, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox as x\nMAINTAINER me\n")
    failed = buildx.fails("build", "--check", str(context))
    if "unknown flag" in failed.stderr:
        pytest.skip("this buildx knows no checks")
    said = failed.stdout + failed.stderr
    assert "MaintainerDeprecated" in said
    assert "2 warnings have been found" in said
    (context / "Dockerfile").write_text("FROM busybox AS x\n")
    assert "no warnings found" in buildx("build", "--check", str(context)).stdout
    assert "x" in buildx("build", "--call=targets", str(context)).stdout


def test_a_client_that_leaves_ends_its_build(buildx: Command, api: Api, context: Path) -> None:
    name = f"leaving-{time.time_ns()}"
    (context / "Dockerfile").write_text(f"FROM busybox\nRUN echo {name}; sleep 600\n")
    with buildx.popen("build", "--progress=plain", str(context)) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.rstrip().endswith(name.encode()) and b"RUN" not in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode != 0
    deadline = time.monotonic() + 30
    while True:
        record = api.get("/pierhead/build/history/^0").json
        if record["status"] != "running" or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert record["status"] == "canceled"


def test_an_agent_is_forwarded(buildx: Command, context: Path, tmp_path: Path) -> None:
    if not shutil.which("ssh-agent"):
        pytest.skip("no ssh-agent on this machine")
    path = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        (context / "Dockerfile").write_text(
            # "what identities are there" (RFC draft-miller-ssh-agent, 3.2), and its answer
            "FROM busybox\nRUN --mount=type=ssh test -S $SSH_AUTH_SOCK && "
            "printf '\\0\\0\\0\\1\\013' | nc -w 2 local:$SSH_AUTH_SOCK >/answer; true\n"
        )
        buildx("build", "--no-cache", "--ssh", f"default={path}", str(context))
        (context / "Dockerfile").write_text("FROM busybox\nRUN --mount=type=ssh,required true\n")
        buildx.fails("build", str(context)).says("ssh")
    finally:
        agent.terminate()
        agent.wait()


@pytest.mark.parametrize("bake", ["true", "false"])
def test_compose(docker: Command, tmp_path: Path, bake: str) -> None:
    env = plugins.need("buildx", "compose", config=tmp_path / "config")
    compose = Command("compose", [*docker.argv, "compose"], {**docker.env, **env})
    folder = tmp_path / f"project{bake}"
    folder.mkdir()
    (folder / "Dockerfile").write_text(
        "ARG WHO\nFROM busybox\nARG WHO\nENV WHO=$WHO\nCMD echo I am $WHO\n"
    )
    (folder / "compose.yaml").write_text(
        "services:\n"
        "  one: {build: {context: ., args: {WHO: one}}}\n"
        "  two: {build: {context: ., args: {WHO: two}}, depends_on: [one]}\n"
    )
    project = ("--project-directory", str(folder))
    built = compose(*project, "build", env={"COMPOSE_BAKE": bake}, timeout_s=120, check=False)
    if "requires buildx" in built.stderr:
        pytest.skip(built.stderr.strip())
    assert built.returncode == 0, built
    (folder / "Dockerfile").write_text("FROM busybox\nARG WHO\nENV WHO=$WHO\nCMD echo now $WHO\n")
    try:
        up = compose(*project, "up", "--build", env={"COMPOSE_BAKE": bake}, timeout_s=120)
        assert "now one" in up.stdout
        assert "now two" in up.stdout
    finally:
        compose(*project, "down", "--rmi=local", timeout_s=120)


class TestDockerBuild:
    """``docker build`` of Docker 20.10, which brings BuildKit's client itself."""

    @pytest.fixture
    def build(self, docker20: Command) -> Command:
        return Command("build", [*docker20.argv, "build"], {**docker20.env, "DOCKER_BUILDKIT": "1"})

    def test_build(self, build: Command, docker: Command, context: Path, tmp_path: Path) -> None:
        image_id = tmp_path / "iid"
        done = build(
            "--progress=plain", "--secret", secret(context), "-t", "bk:20", "--build-arg", "WORD=w",
            "--iidfile", str(image_id), str(context),
        )  # fmt: skip
        assert "[made 2/2] RUN" in done.stderr
        assert run(docker, "bk:20") == f"w\n{context}\n"
        told = build("-q", "--secret", secret(context), "--build-arg", "WORD=w", str(context))
        assert told.out == image_id.read_text()

    def test_failure(self, build: Command, context: Path) -> None:
        (context / "Dockerfile").write_text("FROM busybox\nRUN exit 7\n")
        build.fails("--progress=plain", str(context), code=1).says("exit code: 7")
        build.fails("-q", str(context), code=1).says("exit code: 7")

    def test_contexts(self, build: Command, docker: Command, context: Path, tmp_path: Path) -> None:
        (context / "Dockerfile").write_text('FROM scratch\nCOPY ["uni é", "/x/"]\n')
        (context / "uni é").write_text("é")
        tree = tmp_path / "tree"
        build("-o", str(tree), str(context))
        assert (tree / "x" / "uni é").read_text() == "é"
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            text = b"FROM busybox\nCMD echo from a tar\n"
            entry = tarfile.TarInfo("Dockerfile")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
        build("-t", "bk:20tar", "-", input=out.getvalue())
        assert run(docker, "bk:20tar") == "from a tar\n"
        build("-t", "bk:20in", "-", input="FROM busybox\nCMD echo from stdin\n")
        assert run(docker, "bk:20in") == "from stdin\n"


def test_ping_names_the_builder(api: Api) -> None:
    headers: Any = api.get("/_ping").headers
    assert {key.lower(): value for key, value in headers.items()}["builder-version"] == "2"
