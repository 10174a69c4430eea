"""Streams into running containers: attach, exec, terminals, window sizes, detach keys."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from support.command import Command
from support.http import Api

SLEEP = ("busybox", "sleep", "1000")


def running(cli: Command, name: str) -> bool:
    return cli("inspect", "-f", "{{.State.Running}}", name).out == "true"


class TestTerminal:
    def test_run_it(self, cli: Command) -> None:
        with cli.terminal("run", "--rm", "-it", "busybox", "sh") as screen:
            screen.expect(r"/ # ")
            screen.line("echo $((6*7)); tty")
            screen.expect(r"^42\r")
            screen.expect(r"/dev/pts/0")
            screen.expect(r"/ # ")
            screen.line("exit 3")
            assert screen.wait() == 3

    def test_window_size_at_start_and_later(self, cli: Command) -> None:
        with cli.terminal("run", "--rm", "-it", "busybox", "sh", rows=33, cols=111) as screen:
            screen.expect(r"/ # ")
            time.sleep(0.3)  # the client sends the size once the container runs
            screen.line("stty size")
            screen.expect(r"^33 111\r")
            screen.resize(40, 100)
            time.sleep(0.3)
            screen.line("stty size")
            screen.expect(r"^40 100\r")
            screen.line("exit")
            screen.wait()

    def test_control_c_reaches_the_program(self, cli: Command) -> None:
        with cli.terminal("run", "--rm", "-it", "busybox", "sh") as screen:
            screen.expect(r"/ # ")
            screen.line("sleep 100; echo after=$?")
            time.sleep(0.3)
            screen.send("\x03")
            screen.expect(r"/ # ")
            screen.line("exit 0")
            assert screen.wait() == 0

    def test_control_d_ends_the_shell(self, docker: Command) -> None:
        with docker.terminal("run", "--rm", "-it", "busybox", "sh") as screen:
            screen.expect(r"/ # ")
            screen.send("\x04")
            assert screen.wait() == 0

    def test_detach_and_attach_again(self, cli: Command, name: str) -> None:
        with cli.terminal("run", "-it", "--name", name, "busybox", "sh") as screen:
            screen.expect(r"/ # ")
            screen.line("mark=still-there")
            screen.expect(r"/ # ")
            screen.send("\x10\x11")  # ctrl-p ctrl-q
            screen.wait()
        assert running(cli, name)
        with cli.terminal("attach", name) as screen:
            time.sleep(0.3)
            screen.line("echo $mark")
            screen.expect(r"^still-there\r")
            screen.line("exit 4")
            assert screen.wait() == 4

    def test_other_detach_keys(self, cli: Command, name: str) -> None:
        with cli.terminal(
            "run", "-it", "--name", name, "--detach-keys", "ctrl-x,y", "busybox", "sh"
        ) as screen:
            screen.expect(r"/ # ")
            screen.send("\x18")
            time.sleep(0.1)
            screen.send("y")
            screen.wait()
        assert running(cli, name)

    def test_exec_it(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, *SLEEP)
        with cli.terminal("exec", "-it", name, "sh", rows=30, cols=90) as screen:
            screen.expect(r"/ # ")
            time.sleep(0.3)
            screen.line("stty size; echo pid=$$")
            screen.expect(r"^30 90\r")
            screen.resize(20, 70)
            time.sleep(0.3)
            screen.line("stty size")
            screen.expect(r"^20 70\r")
            screen.line("exit 6")
            assert screen.wait() == 6

    def test_exec_detach_keys(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, *SLEEP)
        with cli.terminal("exec", "-it", name, "sh") as screen:
            screen.expect(r"/ # ")
            screen.send("\x10\x11")
            screen.wait()
        assert running(cli, name)

    def test_tty_without_a_terminal_is_refused(self, cli: Command) -> None:
        cli.fails("run", "--rm", "-it", "busybox", "true", input="x").says(
            "the input device is not a TTY"
        )


class TestAttach:
    def test_attach_shows_what_comes(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, "busybox", "sh", "-c", "sleep 0.7; echo now; exit 5")
        done = cli.fails("attach", name, code=5)
        assert done.stdout == "now\n"

    def test_attach_stdin(self, docker: Command, name: str) -> None:
        docker("run", "-di", "--name", name, "busybox", "cat")
        attached = docker.popen("attach", name)
        assert attached.stdin is not None and attached.stdout is not None
        attached.stdin.write(b"typed\n")
        attached.stdin.flush()
        assert attached.stdout.readline() == b"typed\n"
        attached.kill()
        attached.communicate()
        # detached at first, so its stdin stays open for the next one
        assert running(docker, name)

    def test_start_attached(self, cli: Command, name: str) -> None:
        cli("create", "-i", "--name", name, "busybox", "sh", "-c", "cat; exit 9")
        done = cli.fails("start", "-ai", name, input="in\n", code=9)
        assert done.stdout == "in\n"

    def test_signals_are_passed_on(self, cli: Command, name: str) -> None:
        attached = cli.popen(
            *("run", "--name", name, "busybox", "sh", "-c"),
            "trap 'echo got; exit 8' INT; echo ready; while :; do sleep 0.1; done",
        )
        assert attached.stdout is not None
        assert attached.stdout.readline() == b"ready\n"
        attached.send_signal(signal.SIGINT)
        out, _ = attached.communicate(timeout=15)
        assert (out, attached.returncode) == (b"got\n", 8)

    def test_sig_proxy_off(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        attached = docker.popen("attach", "--sig-proxy=false", name)
        time.sleep(0.5)
        attached.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        attached.kill()
        attached.communicate()
        assert running(docker, name)

    def test_two_clients_see_the_same(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "busybox", "sh", "-c", "sleep 1.5; echo both")
        clients = [docker.popen("attach", "--no-stdin", name) for _ in range(2)]
        assert [client.communicate(timeout=15)[0] for client in clients] == [b"both\n"] * 2

    def test_attach_to_the_dead(self, cli: Command, name: str) -> None:
        cli("run", "--name", name, "busybox", "true")
        cli.fails("attach", name).says("cannot attach to a stopped container, start it first")

    def test_replay_of_logs(self, api: Api, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "busybox", "sh", "-c", "echo old; sleep 1; echo new")
        time.sleep(0.4)
        answer = api.post(f"/v1.41/containers/{name}/attach?logs=1&stream=1&stdout=1&stderr=1")
        assert answer.body == b"\1\0\0\0\0\0\0\4old\n\1\0\0\0\0\0\0\4new\n"

    def test_upgrade_is_answered_with_101(self, api: Api, docker: Command, name: str) -> None:
        docker("run", "-di", "--name", name, "busybox", "cat")
        with api.connect() as connection:
            connection.sendall(
                f"POST /v1.41/containers/{name}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n"
                "Host: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
                "Content-Length: 0\r\n\r\n".encode()
            )
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"content-type: application/vnd.docker." in head.lower()
            connection.sendall(b"ping\n")
            frame = b""
            while len(frame) < 13:
                frame += connection.recv(4096)
            assert frame == b"\1\0\0\0\0\0\0\5ping\n"

    def test_websocket(self, api: Api, docker: Command, name: str) -> None:
        docker("run", "-di", "--name", name, "busybox", "cat")
        with api.connect() as connection:
            connection.sendall(
                f"GET /v1.41/containers/{name}/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n"
                "Host: d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://d\r\n"
                "Sec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            assert head.startswith(b"HTTP/1.1 101 ")
            connection.sendall(b"\x81\x85\0\0\0\0ping\n")  # a masked text frame, the mask all zero
            frame = head.split(b"\r\n\r\n", 1)[1]
            while b"ping" not in frame:
                frame += connection.recv(4096)
            assert frame[0] & 0x0F in (1, 2)


class TestExec:
    @pytest.fixture
    def box(self, cli: Command, name: str) -> str:
        cli("run", "-d", "--name", name, *SLEEP)
        return name

    def test_output_and_status(self, cli: Command, box: str) -> None:
        done = cli("exec", box, "sh", "-c", "echo out; echo err >&2; exit 3", check=False)
        assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")

    def test_stdin(self, cli: Command, box: str) -> None:
        assert (
            cli("exec", "-i", box, "sh", "-c", "cat; echo end", input="in\n").stdout == "in\nend\n"
        )

    def test_a_megabyte_through(self, cli: Command, box: str) -> None:
        data = bytes(range(256)) * 4096
        assert cli("exec", "-i", box, "cat", input=data).stdout_bytes == data

    def test_env_workdir_user(self, cli: Command, box: str) -> None:
        done = cli(
            *("exec", "-e", "A=1", "-w", "/tmp", "-u", "1234:5678", box, "sh", "-c"),
            "echo $A $(pwd) $(id -u):$(id -g)",
        )
        assert done.out == "1 /tmp 1234:5678"

    def test_inherits_the_containers_environment(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "-e", "FROM=container", "-w", "/etc", *SLEEP)
        assert docker("exec", name, "sh", "-c", "echo $FROM $PWD").out == "container /etc"

    def test_detached(self, cli: Command, box: str) -> None:
        assert cli("exec", "-d", box, "sh", "-c", "echo x > /done; sleep 100").stdout == ""
        time.sleep(0.5)
        assert cli("exec", box, "cat", "/done").out == "x"

    def test_not_found_and_not_executable(self, cli: Command, box: str) -> None:
        done = cli("exec", box, "no-such-command", check=False)
        assert done.returncode in (126, 127)  # 126 by old daemons
        assert "executable file not found in $PATH" in done.stdout + done.stderr
        assert cli("exec", box, "/etc/passwd", check=False).returncode == 126

    def test_killed(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        docker.fails("exec", name, "sh", "-c", "kill -9 $$", code=137)

    def test_default_privileges_and_more(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        done = docker("exec", name, "grep", "CapEff", "/proc/self/status")
        assert done.out.split()[1] == "00000000a80425fb"
        done = docker(
            "exec", "--privileged", name, "grep", "CapEff", "/proc/self/status", check=False
        )
        if done.returncode == 0:  # refused where the machine itself has not all of them
            assert int(done.out.split()[1], 16) > 0xA80425FB

    def test_in_a_stopped_container(self, cli: Command, name: str) -> None:
        full = cli("create", "--name", name, *SLEEP).out
        done = cli.fails("exec", name, "true", code=1)
        done.says("is not running")
        assert full in done.stderr

    def test_unknown_user(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        done = docker("exec", "-u", "captain", name, "true", check=False)
        assert done.returncode == 126
        assert "unable to find user captain" in done.stdout + done.stderr

    def test_ends_with_its_container(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        inside = docker.popen("exec", name, "sleep", "500")
        time.sleep(0.5)
        docker("kill", name)
        inside.communicate(timeout=15)
        assert inside.returncode == 137

    def test_many_at_once(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        started = [docker.popen("exec", name, "echo", str(n)) for n in range(10)]
        assert [p.communicate(timeout=30)[0] for p in started] == [b"%d\n" % n for n in range(10)]

    def test_inspect(self, api: Api, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        command = ["sh", "-c", "exit 4"]
        made = api.post(f"/v1.41/containers/{name}/exec", {"Cmd": command, "AttachStdout": True})
        assert made.status == 201
        exec_id = made.json["Id"]
        assert re.fullmatch("[0-9a-f]{64}", exec_id)
        before = api.get(f"/v1.41/exec/{exec_id}/json").json
        assert (before["Running"], before["ExitCode"]) == (False, None)
        assert api.post(f"/v1.41/exec/{exec_id}/start", {"Detach": False}).status == 200
        after = api.get(f"/v1.41/exec/{exec_id}/json").json
        assert (after["Running"], after["ExitCode"]) == (False, 4)
        assert after["ProcessConfig"]["entrypoint"] == "sh"
        assert after["ProcessConfig"]["arguments"] == ["-c", "exit 4"]
        again = api.post(f"/v1.41/exec/{exec_id}/start", {"Detach": False})
        assert again.status in (404, 409) or b"has already run" in again.body

    def test_errors(self, api: Api, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        answer = api.post(f"/v1.41/containers/{name}/exec", {"Cmd": []})
        assert (answer.status, answer.message) == (400, "No exec command specified")
        answer = api.get("/v1.41/exec/abcdef/json")
        assert (answer.status, answer.message) == (404, "No such exec instance: abcdef")
        answer = api.post("/v1.41/containers/nobody/exec", {"Cmd": ["true"]})
        assert (answer.status, answer.message) == (404, "No such container: nobody")

    def test_vanishing_client_leaves_the_container_alone(
        self, docker: Command, name: str, unique: Callable[[str], str]
    ) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        client = docker.popen("exec", name, "sh", "-c", "while :; do echo x; done")
        assert client.stdout is not None
        client.stdout.read(1000)
        client.kill()
        client.communicate()
        assert docker("exec", name, "echo", "fine").out == "fine"

    def test_exec_ids_in_inspect(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        docker("exec", "-d", name, "sleep", "300")
        ids = json.loads(docker("inspect", "-f", "{{json .ExecIDs}}", name).out)
        assert len(ids) == 1


def test_stdin_closes_when_the_one_client_leaves(docker: Command, name: str) -> None:
    """``-i`` without detach: StdinOnce, so the end of the client is the end of the input."""
    client = docker.popen("run", "-i", "--name", name, "busybox", "cat", stdout=subprocess.DEVNULL)
    time.sleep(0.7)
    assert client.stdin is not None
    client.stdin.close()
    assert client.wait(timeout=15) == 0
