"""From create to remove: every verb, its states, its messages, its exit status."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable

import pytest

from support.command import Command
from support.http import Api

Unique = Callable[[str], str]
SLEEP = ("busybox", "sleep", "1000")
# A shell as process 1 ignores SIGTERM unless it traps it.
POLITE = ("busybox", "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done")


def state(cli: Command, name: str, field: str = "Status") -> str:
    return cli("inspect", "-f", "{{.State." + field + "}}", name).out


def until(condition: Callable[[], bool], *, timeout_s: float = 15) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


class TestCreateStartStop:
    def test_the_whole_way(self, cli: Command, name: str) -> None:
        full = cli("create", "--name", name, *POLITE).out
        assert re.fullmatch("[0-9a-f]{64}", full)
        assert state(cli, name) == "created"
        assert cli("start", name).out == name
        assert state(cli, name) == "running"
        assert int(state(cli, name, "Pid")) > 1
        assert cli("stop", name).out == name
        assert state(cli, name) == "exited"
        assert state(cli, name, "ExitCode") == "5"
        assert state(cli, name, "Pid") == "0"
        assert cli("rm", name).out == name
        assert "No such container" in cli.fails("start", name).stderr

    def test_start_a_second_time_keeps_the_files(self, cli: Command, name: str) -> None:
        cli("run", "--name", name, "busybox", "sh", "-c", "echo x >> /count; wc -l < /count")
        done = cli("start", "-a", name)
        assert done.out == "2"

    def test_start_what_runs_is_fine(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, *SLEEP)
        cli("start", name)

    def test_stop_twice_is_fine(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, *POLITE)
        cli("stop", name)
        cli("stop", name)

    def test_stop_kills_when_time_is_up(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, *SLEEP)
        begin = time.monotonic()
        cli("stop", "-t", "1", name)
        assert 0.8 < time.monotonic() - begin < 4
        assert state(cli, name, "ExitCode") == "137"

    def test_stop_signal(self, cli: Command, name: str) -> None:
        cli(
            *("run", "-d", "--name", name, "--stop-signal", "SIGUSR1", "busybox", "sh", "-c"),
            "trap 'exit 9' USR1; while :; do sleep 0.1; done",
        )
        time.sleep(0.2)
        cli("stop", name)
        assert state(cli, name, "ExitCode") == "9"

    def test_stop_timeout_of_the_container(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "--stop-timeout", "1", *SLEEP)
        begin = time.monotonic()
        docker("stop", name)
        assert time.monotonic() - begin < 5

    def test_several_at_once_and_one_unknown(self, cli: Command, unique: Unique) -> None:
        one, two = unique("a"), unique("b")
        for each in (one, two):
            cli("run", "-d", "--name", each, *POLITE)
        done = cli.fails("stop", one, "nobody-here", two, code=1)
        assert sorted(done.stdout.split()) == sorted([one, two])
        assert "No such container: nobody-here" in done.stderr

    def test_restart(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, *POLITE)
        first = state(cli, name, "Pid")
        assert cli("restart", "-t", "2", name).out == name
        assert state(cli, name) == "running"
        assert state(cli, name, "Pid") != first

    def test_restart_starts_what_has_ended(self, docker: Command, name: str) -> None:
        docker("create", "--name", name, *SLEEP)
        docker("restart", name)
        assert state(docker, name) == "running"

    def test_by_id_prefix(self, cli: Command, name: str) -> None:
        full = cli("run", "-d", "--name", name, *SLEEP).out
        assert cli("inspect", "-f", "{{.Name}}", full[:12]).out == f"/{name}"
        assert cli("inspect", "-f", "{{.Name}}", full[:4]).out == f"/{name}"

    def test_start_failure_is_told_and_kept(self, docker: Command, name: str) -> None:
        docker("create", "--name", name, "busybox", "nothing-there")
        done = docker.fails("start", name)
        assert "executable file not found in $PATH" in done.stderr
        assert state(docker, name, "ExitCode") == "127"
        assert "executable file not found" in state(docker, name, "Error")


class TestKillPauseWait:
    def test_kill(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, *SLEEP)
        assert cli("kill", name).out == name
        until(lambda: state(cli, name) == "exited")
        assert state(cli, name, "ExitCode") == "137"

    def test_kill_with_a_signal(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, *POLITE)
        time.sleep(0.2)
        cli("kill", "-s", "TERM", name)
        until(lambda: state(cli, name) == "exited")
        assert state(cli, name, "ExitCode") == "5"

    def test_kill_what_does_not_run(self, cli: Command, name: str) -> None:
        full = cli("create", "--name", name, *SLEEP).out
        done = cli.fails("kill", name)
        # some versions name it as asked, some by its id
        done.says("cannot kill container", f"container {full} is not running")

    def test_kill_with_nonsense(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        assert "nvalid signal: NONSENSE" in docker.fails("kill", "-s", "NONSENSE", name).stderr

    def test_pause(self, cli: Command, name: str) -> None:
        cli(
            "run", "-d", "--name", name, "busybox", "sh", "-c", "while :; do date; sleep 0.05; done"
        )
        assert cli("pause", name).out == name
        assert state(cli, name) == "paused"
        assert state(cli, name, "Paused") == "true"
        assert "(Paused)" in cli("ps", "--format", "{{.Status}}", "-f", f"name={name}").out
        before = cli("logs", name).stdout
        time.sleep(0.3)
        assert cli("logs", name).stdout == before
        assert "is already paused" in cli.fails("pause", name).stderr
        cli.fails("exec", name, "true")
        cli("unpause", name)
        assert state(cli, name) == "running"
        assert "is not paused" in cli.fails("unpause", name).stderr

    def test_stop_while_paused(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        docker("pause", name)
        docker("stop", "-t", "1", name)
        assert state(docker, name) == "exited"

    def test_wait_prints_the_status(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, "busybox", "sh", "-c", "sleep 0.5; exit 3")
        assert cli("wait", name).out == "3"
        assert cli("wait", name).out == "3"  # and at once, now that it has ended

    def test_wait_for_removal(self, api: Api, docker: Command, name: str) -> None:
        docker("create", "--name", name, "--rm", "busybox", "sh", "-c", "sleep 0.3; exit 4")
        connection = api.connect()
        connection.sendall(
            f"POST /v1.41/containers/{name}/wait?condition=removed HTTP/1.1\r\nHost: d\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:  # the head comes once the waiter stands, before the exit
            head += connection.recv(4096)
        assert b"200 OK" in head
        docker("start", name)
        body = head.split(b"\r\n\r\n", 1)[1]
        while b"StatusCode" not in body:
            body += connection.recv(4096)
        assert b'"StatusCode":4' in body.replace(b" ", b"")
        assert api.get(f"/containers/{name}/json").status == 404
        connection.close()

    def test_wait_for_the_next_exit(self, api: Api, docker: Command, name: str) -> None:
        docker("run", "--name", name, "busybox", "sh", "-c", "exit 0")
        connection = api.connect()
        connection.sendall(
            f"POST /v1.41/containers/{name}/wait?condition=next-exit HTTP/1.1\r\nHost: d\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        got = b""
        while b"\r\n\r\n" not in got:
            got += connection.recv(4096)
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(4096)  # it has ended before: that does not count
        connection.settimeout(10)
        docker("start", name)
        assert b"StatusCode" in connection.recv(4096)
        connection.close()


class TestRenameUpdate:
    def test_rename(self, cli: Command, unique: Unique) -> None:
        old, new, other = unique("old"), unique("new"), unique("other")
        cli("run", "-d", "--name", old, *SLEEP)
        cli("create", "--name", other, *SLEEP)
        cli("rename", old, new)
        assert cli("ps", "--format", "{{.Names}}", "-f", f"name={new}").out == new
        assert "is already in use" in cli.fails("rename", new, other).stderr
        assert "No such container" in cli.fails("inspect", "--type", "container", old).stderr
        cli("create", "--name", old, *SLEEP)  # the old name is free again

    def test_update_of_a_running_container(self, cli: Command, api: Api, name: str) -> None:
        cli("run", "-d", "--name", name, "-m", "64m", *SLEEP)
        cli("update", "-m", "128m", "--memory-swap", "256m", "--restart", "on-failure:3", name)
        host = api.get(f"/containers/{name}/json").json["HostConfig"]
        assert host["Memory"] == 128 << 20
        assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
        inside = cli(
            *("exec", name, "sh", "-c"),
            "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max",
        )
        assert inside.out == str(128 << 20)


class TestRemovePrune:
    def test_rm_of_a_running_container(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, *SLEEP)
        done = cli.fails("rm", name)
        # "You cannot remove a running container ..." up to 24, "cannot remove container ..." since
        assert "cannot remove" in done.stderr
        assert "running" in done.stderr
        assert "force remove" in done.stderr
        cli("rm", "-f", name)
        assert name not in cli("ps", "-a", "--format", "{{.Names}}").lines

    def test_rm_unknown(self, cli: Command) -> None:
        assert "No such container: nobody" in cli.fails("rm", "nobody", code=1).stderr

    def test_prune(self, cli: Command, unique: Unique) -> None:
        dead, alive = unique("dead"), unique("alive")
        gone = cli("create", "--name", dead, "--label", "mine=1", *SLEEP).out
        cli("run", "-d", "--name", alive, *SLEEP)
        done = cli("container", "prune", "-f", "--filter", "label=mine=1")
        assert "Deleted Containers:" in done.stdout
        assert gone in done.stdout
        assert "Total reclaimed space: " in done.stdout
        assert alive in cli("ps", "--format", "{{.Names}}").lines


class TestRestartPolicy:
    def test_on_failure_stops_after_its_count(self, cli: Command, name: str) -> None:
        cli(
            "run",
            "-d",
            "--name",
            name,
            "--restart",
            "on-failure:2",
            "busybox",
            "sh",
            "-c",
            "exit 1",
        )
        until(
            lambda: (
                state(cli, name) == "exited"
                and cli("inspect", "-f", "{{.RestartCount}}", name).out == "2"
            ),
            timeout_s=20,
        )

    def test_on_failure_leaves_success_alone(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "--restart", "on-failure", "busybox", "true")
        until(lambda: state(docker, name) == "exited")
        assert docker("inspect", "-f", "{{.RestartCount}}", name).out == "0"

    def test_always_comes_back_until_stopped(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, "--restart", "always", "busybox", "sleep", "0.2")
        until(lambda: int(cli("inspect", "-f", "{{.RestartCount}}", name).out) >= 2, timeout_s=20)
        cli("stop", "-t", "1", name)
        time.sleep(1)
        assert state(cli, name) == "exited"

    def test_unless_stopped(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "--restart", "unless-stopped", *SLEEP)
        docker("kill", name)
        until(lambda: state(docker, name) == "exited")

    def test_bad_policy(self, cli: Command) -> None:
        assert "invalid restart policy" in cli.fails(
            "run", "--restart", "sometimes", "busybox", "true", code=125
        ).stderr.replace("restart policy name", "restart policy")


class TestHealth:
    def test_becomes_healthy(self, cli: Command, name: str) -> None:
        cli(
            *("run", "-d", "--name", name, "--health-cmd", "test -e /ok", "--health-interval"),
            *(
                "300ms",
                "--health-retries",
                "2",
                "busybox",
                "sh",
                "-c",
                "sleep 0.6; touch /ok; sleep 99",
            ),
        )
        assert state(cli, name, "Health.Status") == "starting"
        assert "(health: starting)" in cli("ps", "-f", f"name={name}").stdout
        until(lambda: state(cli, name, "Health.Status") == "healthy")
        assert "(healthy)" in cli("ps", "-f", f"name={name}").stdout

    def test_becomes_unhealthy(self, cli: Command, name: str) -> None:
        cli(
            *("run", "-d", "--name", name, "--health-cmd", "echo bad; exit 1"),
            *("--health-interval", "200ms", "--health-retries", "2", *SLEEP),
        )
        until(lambda: state(cli, name, "Health.Status") == "unhealthy")
        log = json.loads(cli("inspect", "-f", "{{json .State.Health.Log}}", name).out)
        assert (log[-1]["ExitCode"], log[-1]["Output"]) == (1, "bad\n")
        assert int(state(cli, name, "Health.FailingStreak")) >= 2


class TestListInspect:
    def test_ps(self, cli: Command, name: str) -> None:
        full = cli("run", "-d", "--name", name, "--label", "k=v", "-p", "127.0.0.1::80", *SLEEP).out
        table = cli("ps", "-f", f"name={name}").lines
        assert table[0].split("  ")[0] == "CONTAINER ID"
        assert re.match(
            rf'{full[:12]}   busybox   "sleep 1000"   .*ago   Up .*'
            rf"   127\.0\.0\.1:\d+->80/tcp   {name}$",
            table[1],
        ), table
        assert cli("ps", "-q", "--no-trunc", "-f", f"name={name}").out == full
        assert (
            cli("ps", "-f", f"name={name}", "--format", '{{.Label "k"}} {{.State}}').out
            == "v running"
        )

    @pytest.mark.parametrize(
        "match",
        [
            "status=exited",
            "exited=3",
            "label=role",
            "label=role=test",
            "ancestor=busybox",
            "name=^/?filter",
        ],
    )
    def test_filters(self, docker: Command, unique: Unique, match: str) -> None:
        hit, miss = unique("filter"), unique("other")
        docker(
            "run",
            "--name",
            hit,
            "--label",
            "role=test",
            "busybox",
            "sh",
            "-c",
            "exit 3",
            check=False,
        )
        docker("run", "-d", "--name", miss, *SLEEP)
        found = docker("ps", "-a", "--format", "{{.Names}}", "-f", match).lines
        assert hit in found
        assert (miss in found) == (match == "ancestor=busybox")

    def test_before_since_last(self, docker: Command, unique: Unique) -> None:
        names = [unique("s") for _ in range(3)]
        for each in names:
            docker("create", "--name", each, *SLEEP)
        list_names = ("ps", "-a", "--format", "{{.Names}}")
        assert docker(*list_names, "-f", f"since={names[1]}").lines == [names[2]]
        assert docker(*list_names, "-f", f"before={names[1]}").lines == [names[0]]
        assert docker(*list_names, "-n", "2").lines == [names[2], names[1]]
        assert docker("ps", "-l", "--format", "{{.Names}}").lines == [names[2]]

    def test_size(self, cli: Command, name: str) -> None:
        cli(
            "run",
            "--name",
            name,
            "busybox",
            "sh",
            "-c",
            "dd if=/dev/zero of=/f bs=1k count=2000 2>&1",
        )
        size = cli("ps", "-as", "--format", "{{.Size}}", "-f", f"name={name}").out
        assert re.match(r"2\.05MB \(virtual [\d.]+MB\)", size), size

    def test_inspect_has_what_docker_has(self, api: Api, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        got = api.get(f"/v1.41/containers/{name}/json").json
        top = "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name "
        top += "RestartCount Driver Platform MountLabel ProcessLabel AppArmorProfile ExecIDs "
        top += "HostConfig GraphDriver Mounts Config NetworkSettings"
        assert set(top.split()) <= set(got)
        states = "Status Running Paused Restarting OOMKilled Dead Pid ExitCode Error StartedAt"
        assert {*states.split(), "FinishedAt"} <= set(got["State"])
        assert (got["Path"], got["Args"]) == ("sleep", ["1000"])
        assert got["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"
        assert got["HostConfig"]["NetworkMode"] in ("default", "bridge")

    def test_inspect_unknown(self, cli: Command) -> None:
        done = cli.fails("inspect", "nothing-of-that-name", code=1)
        assert done.out == "[]"
        assert "No such object: nothing-of-that-name" in done.stderr.replace("no such", "No such")

    def test_top(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, *SLEEP)
        lines = cli("top", name).lines
        assert lines[0].split()[:3] == ["UID", "PID", "PPID"]
        assert lines[1].endswith("sleep 1000")
        lines = cli("top", name, "-o", "pid,comm").lines
        assert lines[0].split() == ["PID", "COMMAND"]

    def test_stats(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, "-m", "64m", *SLEEP)
        done = cli("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", name)
        assert re.match(rf"{name} \S+ / 64MiB 1$", done.out), done.out

    def test_port(self, cli: Command, name: str) -> None:
        cli(
            "run",
            "-d",
            "--name",
            name,
            "-p",
            "127.0.0.1:0:80/tcp",
            "-p",
            "127.0.0.1::53/udp",
            *SLEEP,
        )
        assert re.fullmatch(r"127\.0\.0\.1:\d+", cli("port", name, "80").out)
        assert len(cli("port", name).lines) == 2
        assert "No public port '81" in cli.fails("port", name, "81").stderr.replace(
            "no public", "No public"
        )

    def test_export(self, cli: Command, name: str) -> None:
        cli("run", "--name", name, "busybox", "sh", "-c", "echo payload > /exported")
        tar = cli("export", name).stdout_bytes
        done = subprocess.run(["tar", "xOf", "-", "exported"], input=tar, capture_output=True)
        assert done.stdout == b"payload\n"
