"""``pier build`` and ``pier bake`` against a daemon: what only they show."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command import Command
from support.daemon import Pierd

pytestmark = pytest.mark.root

Unique = Callable[[str], str]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    root.mkdir()
    (root / "file").write_text("content\n")
    return root


def dockerfile(context: Path, text: str, name: str = "Dockerfile") -> Path:
    path = context / name
    path.write_text(text)
    return path


def test_plain_progress(pier: Command, context: Path, unique: Unique) -> None:
    name = unique("built")
    dockerfile(context, f"FROM busybox\nCOPY file /\nRUN echo {name} && echo wrong >&2\n")
    done = pier("build", "--progress", "plain", "-t", name, str(context))
    assert not done.stdout
    lines = done.stderr.splitlines()
    assert lines[0] == '#0 building with "default" instance using docker driver'
    assert "[internal] load build definition from Dockerfile" in lines[2]
    [step] = [line for line in lines if line.endswith(f"[3/3] RUN echo {name} && echo wrong >&2")]
    number = step.split()[0]
    said = [line for line in lines if line.startswith(number + " ")]
    assert re.fullmatch(rf"{number} \d+\.\d+ {name}", said[1])
    assert re.fullmatch(rf"{number} DONE \d+\.\ds", said[-1])
    again = pier("build", "--progress", "plain", "-t", name, str(context)).stderr
    assert again.count(" CACHED\n") == 3
    pier("rmi", name)


def test_quiet_and_files(pier: Command, context: Path, tmp_path: Path, unique: Unique) -> None:
    dockerfile(context, "FROM busybox\nCOPY file /\n")
    name, iid, metadata = unique("built"), tmp_path / "iid", tmp_path / "metadata"
    done = pier(
        *("build", "-q", "--iidfile", str(iid), "--metadata-file", str(metadata)),
        *("-t", name, str(context)),
    )
    identifier = done.out
    assert done.stderr == "" and re.fullmatch("sha256:[0-9a-f]{64}", identifier)
    assert iid.read_text() == identifier
    assert pier("inspect", "-f", "{{.Id}}", name).out == identifier
    assert json.loads(metadata.read_text())["containerimage.config.digest"] == identifier
    pier("rmi", name)


def test_a_failure_shows_the_lines_and_its_output(pier: Command, context: Path) -> None:
    path = dockerfile(context, "FROM busybox\nRUN echo before && \\\n  exit 3\nRUN true\n")
    failed = pier.fails("build", "--progress", "plain", "-f", str(path), str(context), code=1)
    text = failed.stderr
    assert "------\n > [2/3] RUN echo before &&" in text
    assert re.search(r"------\n.*\n\d\.\d+ before\n------\n", text)
    assert f"{path}:2\n--------------------\n   1 |     FROM busybox\n   2 | >>> RUN" in text
    assert "   3 | >>>   exit 3\n   4 |     RUN true\n" in text
    assert re.search(
        "ERROR: failed to build: failed to solve: process .* did not complete successfully: "
        "exit code: 3\n$",
        text,
    )
    missing = pier.fails("build", "-f", str(context / "nope"), str(context), code=1).stderr
    assert "nope: no such file or directory" in missing


def test_stdin(pier: Command, context: Path, tmp_path: Path, unique: Unique) -> None:
    name = unique("built")
    pier("build", "-q", "-t", name, "-", input="FROM busybox\nRUN echo 1 > /1\n")
    assert pier("run", "--rm", name, "cat", "/1").out == "1"
    pier("build", "-q", "-t", name, "-f", "-", str(context), input="FROM busybox\nCOPY file /2\n")
    assert pier("run", "--rm", name, "cat", "/2").out == "content"
    archive = tmp_path / "c.tar.gz"
    dockerfile(context, "FROM busybox\nCOPY file /3\n", "D")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(context, ".")
    pier("build", "-q", "-t", name, "-f", "D", "-", input=archive.read_bytes())
    assert pier("run", "--rm", name, "cat", "/3").out == "content"
    pier("rmi", "-f", name)


def test_only_what_is_needed_goes_to_the_daemon(pier: Command, context: Path) -> None:
    """Ignored files aren't even opened: they can't be, and nobody minds."""
    (context / ".dockerignore").write_text("ignored\n")
    for name in ("ignored", "unneeded"):
        os.mkfifo(context / name)
    dockerfile(context, "FROM busybox\nCOPY file /\nRUN [ $(ls / | grep -c ign) = 0 ]\n")
    pier("build", "-q", str(context))


def test_secrets_and_ssh_agents(pier: Command, context: Path, tmp_path: Path) -> None:
    secret, agent = tmp_path / "secret", tmp_path / "agent"
    secret.write_text("from-file")
    dockerfile(
        context,
        "FROM busybox\n"
        "RUN --mount=type=secret,id=a --mount=type=secret,id=b,env=B "
        'test "$(tr a-z A-Z < /run/secrets/a)-$B" = FROM-FILE-surroundings\n'
        "RUN --mount=type=ssh test -S $SSH_AUTH_SOCK\n",
    )
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(agent))
        listening.listen()
        done = pier(
            *("build", "--no-cache", "--progress", "rawjson", "--ssh", f"default={agent}"),
            *("--secret", f"id=a,src={secret}", "--secret", "id=b,env=PIER_SECRET", str(context)),
            env={"PIER_SECRET": "surroundings"},
        )
    assert "from-file" not in done.stderr
    pier.fails("build", "--no-cache", str(context)).says("ssh")


def test_outputs_here(pier: Command, context: Path, tmp_path: Path) -> None:
    dockerfile(context, "FROM scratch\nCOPY file /dir/file\n")
    out = tmp_path / "out"
    pier("build", "-o", str(out), str(context))
    assert (out / "dir" / "file").read_text() == "content\n"
    data = pier("build", "-q", "-o", "-", str(context), check=False).stdout_bytes
    (tmp_path / "t").write_bytes(data)
    with tarfile.open(tmp_path / "t") as tar:
        assert "dir/file" in tar.getnames()


def test_checks(pier: Command, context: Path) -> None:
    path = dockerfile(context, "from busybox AS Up\nRUN true\n")
    done = pier("build", "--check", "-f", str(path), str(context), check=False)
    assert done.returncode == 1
    assert "have been found!" in done.stdout and "WARNING: StageNameCasing" in done.stdout
    assert f"{path}:1\n" in done.stdout
    dockerfile(context, "FROM busybox AS up\nRUN true\n")
    assert pier("build", "--check", str(context)).out == "Check complete, no warnings found."
    assert "up" in pier("build", "--call", "targets", str(context)).stdout


def test_a_terminal(pier: Command, context: Path, unique: Unique) -> None:
    dockerfile(context, f"FROM busybox\nRUN echo {unique('x')}; sleep 1\n")
    with pier.terminal("build", str(context), cols=100) as terminal:
        terminal.expect(r"\[\+\] Building \d+\.\ds \(\d+/\d+\)")
        terminal.expect(r"=> => # x-")
        terminal.expect(r"FINISHED", timeout_s=30)


def test_a_shell_in_a_failed_step(pier: Command, context: Path) -> None:
    dockerfile(context, "FROM busybox\nRUN echo kept > /kept; exit 5\n")
    failed = pier.fails("build", "--debug", str(context))
    found = re.search(r"pier build debug (\w+)", failed.stderr)
    assert found, failed
    assert found[1] in pier("build", "debug").stdout
    later = pier("build", "debug", found[1], "/bin/sh", "-c", "cat /kept; exit 4", check=False)
    assert (later.out, later.returncode) == ("kept", 4)
    with pier.terminal("build", "debug", found[1]) as terminal:
        terminal.expect(r"# ")
        terminal.line("cat /ke*")
        terminal.expect(r"kept\r\n")
        terminal.line("exit")
    pier("build", "debug", "--rm", found[1])
    assert found[1] not in pier("build", "debug").stdout


def heed_interrupts() -> None:
    """In the child: a shell's background job, which we may be, ignores them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_stops_the_build(pier: Command, context: Path) -> None:
    dockerfile(context, "FROM busybox\nRUN echo begun; sleep 1000\n")
    process = pier.popen("build", "--progress", "plain", str(context), preexec_fn=heed_interrupts)
    assert process.stderr is not None
    seen = b""
    while b" begun" not in seen.replace(b"echo begun", b""):
        part = os.read(process.stderr.fileno(), 65536)
        assert part, seen
        seen += part
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130 and b"Canceled: context canceled" in rest
    assert "Canceled" in pier("build", "history", "ls").lines[1]


def test_history(pier: Command, context: Path, unique: Unique) -> None:
    name = unique("built")
    dockerfile(context, f"FROM busybox\nCOPY file /\nRUN echo {name}\n")
    pier("build", "-t", name, str(context))
    (context / "file").write_text("changed")
    pier("build", "-t", name, str(context))
    ref = pier("build", "history", "ls", "-q", "--filter", f"name={name}").lines[0]
    shown = pier("build", "history", "inspect", ref).stdout
    assert f"Name:       {name}\n" in shown and "not cached: its files changed" in shown
    logs = pier("build", "history", "logs", ref).stdout
    assert re.search(rf"#\d+ \d\.\d+ {name}\n", logs)
    assert json.loads(pier("build", "history", "trace", ref).stdout)["traceEvents"]
    pier("build", "history", "rm", ref)
    assert ref not in pier("build", "history", "ls").stdout
    assert "RECLAIMABLE" in pier("buildx", "du").stdout
    pier("rmi", name)


def test_bake(pier: Command, context: Path, unique: Unique) -> None:
    name = unique("baked")
    (context / "docker-bake.hcl").write_text(
        f"""
        variable "TAG" {{ default = "1" }}
        group "default" {{ targets = ["app", "files"] }}
        target "lib" {{ dockerfile-inline = "FROM busybox\\nCOPY file /libs" }}
        target "app" {{
          contexts = {{ lib = "target:lib" }}
          dockerfile-inline = "FROM lib\\nRUN cp /libs /app"
          tags = ["{name}:${{TAG}}"]
        }}
        target "files" {{
          contexts = {{ app = "target:app" }}
          dockerfile-inline = "FROM scratch\\nCOPY --from=app /app /"
          output = ["{context}/out"]
        }}
        """
    )
    done = pier(
        *("bake", "-f", str(context / "docker-bake.hcl"), "--progress", "plain"),
        *("--set", f"*.context={context}"),
        env={"TAG": "two"},
    )
    assert "[app 2/2] RUN cp /libs /app" in done.stderr
    assert (context / "out" / "app").read_text() == "content\n"
    assert pier("run", "--rm", f"{name}:two", "cat", "/app").out == "content"
    pier("rmi", f"{name}:two")


def test_a_daemon_that_goes_away(pier: Command, pierd: Pierd, context: Path) -> None:
    dockerfile(context, "FROM busybox\nRUN echo begun; sleep 1000\n")
    process = pier.popen("build", "--progress", "plain", str(context))
    assert process.stderr is not None
    seen = b""
    while b" begun" not in seen.replace(b"echo begun", b""):
        part = os.read(process.stderr.fileno(), 65536)
        assert part, seen
        seen += part
    pierd.kill9()
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 1 and b"closed the connection in mid-build" in rest
    pierd.start()
