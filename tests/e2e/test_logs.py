"""What a container said: selection, time, following, rotation."""

from __future__ import annotations

import re
import subprocess
import time
from datetime import UTC, datetime

from support.command import Command
from support.http import Api

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"


def test_both_streams_apart(cli: Command, name: str) -> None:
    cli("run", "--name", name, "busybox", "sh", "-c", "echo out; echo err >&2")
    done = cli("logs", name)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_tail(cli: Command, name: str) -> None:
    cli("run", "--name", name, "busybox", "seq", "1", "100")
    assert cli("logs", "--tail", "3", name).lines == ["98", "99", "100"]
    assert cli("logs", "-n", "0", name).lines == []
    assert len(cli("logs", "--tail", "all", name).lines) == 100
    assert len(cli("logs", "--tail", "1000", name).lines) == 100


def test_long_lines_are_one_line(cli: Command, name: str) -> None:
    cli(
        "run",
        "--name",
        name,
        "busybox",
        "sh",
        "-c",
        "head -c 100000 /dev/zero | tr '\\0' x; echo; echo y",
    )
    lines = cli("logs", name).lines
    assert [len(line) for line in lines] == [100_000, 1]
    assert cli("logs", "--tail", "1", name).out == "y"


def test_a_last_line_without_its_end(docker: Command, name: str) -> None:
    docker("run", "--name", name, "busybox", "printf", "a\\nb")
    assert docker("logs", name).stdout == "a\nb"


def test_timestamps(cli: Command, name: str) -> None:
    cli("run", "--name", name, "busybox", "echo", "x")
    assert re.fullmatch(rf"{STAMP} x\n", cli("logs", "-t", name).stdout)


def test_since_and_until(cli: Command, name: str) -> None:
    cli(
        "run",
        "--name",
        name,
        "busybox",
        "sh",
        "-c",
        "echo one; sleep 1.2; echo two; sleep 1.2; echo three",
    )
    stamps = [line.split()[0] for line in cli("logs", "-t", name).lines]
    assert cli("logs", "--since", stamps[1], name).lines == ["two", "three"]
    # `until` is read by daemons with the precision of the client; give it some room
    between = stamps[1][:19] + ".999999999Z"
    assert cli("logs", "--until", between, name).lines[0] == "one"
    assert "three" not in cli("logs", "--until", between, name).lines
    assert cli("logs", "--since", "1h", name).lines == ["one", "two", "three"]
    assert cli("logs", "--until", "1h", name).lines == []


def test_follow_sees_what_comes_and_ends_with_the_container(cli: Command, name: str) -> None:
    cli(
        "run",
        "-d",
        "--name",
        name,
        "busybox",
        "sh",
        "-c",
        "for i in 1 2 3 4; do echo $i; sleep 0.2; done",
    )
    done = cli("logs", "-f", name, timeout_s=20)
    assert done.lines == ["1", "2", "3", "4"]


def test_follow_with_tail(docker: Command, name: str) -> None:
    docker("run", "-d", "--name", name, "busybox", "sh", "-c", "seq 1 50; sleep 1; echo last")
    time.sleep(0.4)
    assert docker("logs", "-f", "--tail", "2", name, timeout_s=20).lines == ["49", "50", "last"]


def test_follow_from_a_stopped_container_ends(docker: Command, name: str) -> None:
    docker("run", "--name", name, "busybox", "echo", "x")
    assert docker("logs", "-f", name, timeout_s=10).out == "x"


def test_a_client_that_goes_away_harms_nobody(docker: Command, name: str) -> None:
    docker("run", "-d", "--name", name, "busybox", "sh", "-c", "while :; do echo x; done")
    follower = docker.popen("logs", "-f", name, stdin=subprocess.DEVNULL)
    assert follower.stdout is not None
    follower.stdout.read(100)
    follower.kill()
    follower.communicate()
    assert docker("inspect", "-f", "{{.State.Running}}", name).out == "true"


def test_terminal_output_is_raw(docker: Command, name: str) -> None:
    docker("run", "-t", "--name", name, "busybox", "sh", "-c", "echo out; echo err >&2")
    assert docker("logs", name).stdout == "out\r\nerr\r\n"


def test_logs_go_on_over_a_restart(cli: Command, name: str) -> None:
    cli("run", "--name", name, "busybox", "echo", "again")
    cli("start", "-a", name)
    assert cli("logs", name).lines == ["again", "again"]


def test_rotation_keeps_the_newest(docker: Command, name: str) -> None:
    docker(
        *("run", "--name", name, "--log-opt", "max-size=100k", "--log-opt", "max-file=2"),
        *("busybox", "seq", "1", "50000"),
    )
    lines = docker("logs", name).lines
    assert lines[-1] == "50000"
    assert len(lines) < 50_000
    assert [int(line) for line in lines] == list(range(int(lines[0]), 50_001)), "a gap"


def test_driver_none(docker: Command, name: str) -> None:
    docker("run", "--name", name, "--log-driver", "none", "busybox", "echo", "x")
    docker.fails("logs", name).says("configured logging driver does not support reading")


def test_unknown_driver(docker: Command) -> None:
    docker.fails("run", "--log-driver", "pigeon", "busybox", "true").says("pigeon")


def test_unknown_container(cli: Command) -> None:
    cli.fails("logs", "nobody", code=1).says("No such container: nobody")


def test_api_wants_a_stream(api: Api, docker: Command, name: str) -> None:
    docker("run", "--name", name, "busybox", "echo", "x")
    answer = api.get(f"/v1.41/containers/{name}/logs")
    assert answer.status == 400
    assert answer.message.startswith("Bad parameters: you must choose at least one stream")


def test_api_frames(api: Api, docker: Command, name: str) -> None:
    docker("run", "--name", name, "busybox", "sh", "-c", "echo out; sleep 0.1; echo err >&2")
    body = api.get(f"/v1.41/containers/{name}/logs?stdout=1&stderr=1").body
    assert body == b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n"


def test_stamps_are_times_of_now(docker: Command, name: str) -> None:
    before = datetime.now(UTC)
    docker("run", "--name", name, "busybox", "echo", "x")
    stamp = datetime.fromisoformat(docker("logs", "-t", name).out.split()[0][:26] + "+00:00")
    assert abs((stamp - before).total_seconds()) < 10
