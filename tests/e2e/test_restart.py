"""Containers go on while pierd is away; afterwards it knows everything about them."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from support.command import Command
from support.daemon import Pierd
from support.http import Api

from .conftest import GIVEN_HOST, NEWEST, make_command

pytestmark = pytest.mark.skipif(bool(GIVEN_HOST), reason="stops and kills a pierd of its own")

TICKER = ("busybox", "sh", "-c", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done")
POLITE = ("busybox", "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done")


@pytest.fixture(scope="module")
def own() -> Iterator[Pierd]:
    """A daemon of this module's own, because it suffers."""
    runc = shutil.which("runc")
    pierd = Pierd("again", extra=["--add-runtime", f"other={runc}"] if runc else [])
    try:
        pierd.start()
        make_command("pier", pierd.host)("image", "bootstrap", "busybox", timeout_s=120)
        pierd.census.take()
        yield pierd
        pierd.remove_all_containers()
        left = pierd.census.leftovers()
        assert not left, left
    finally:
        pierd.destroy()


@pytest.fixture
def cli(own: Pierd) -> Iterator[Command]:
    yield make_command(NEWEST or "pier", own.host)
    own.remove_all_containers()


@pytest.fixture(params=["stop", "kill9"])
def bounce(request: pytest.FixtureRequest, own: Pierd) -> Callable[..., None]:
    """Take pierd down, politely or not, wait, and bring it up again."""

    def bounce(meanwhile: Callable[[], None] = lambda: None, *, away_s: float = 0.3) -> None:
        getattr(own, request.param)()
        time.sleep(away_s)
        meanwhile()
        own.start()

    return bounce


def state(cli: Command, name: str) -> str:
    return cli("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name).out


def pid_of(cli: Command, name: str) -> int:
    return int(cli("inspect", "-f", "{{.State.Pid}}", name).out)


def test_runs_on_with_its_log(cli: Command, bounce: Callable[..., None], name: str) -> None:
    cli("run", "-d", "--name", name, *TICKER)
    pid = pid_of(cli, name)
    bounce()
    assert state(cli, name) == "running 0"
    assert pid_of(cli, name) == pid
    time.sleep(0.3)
    ticks = [int(line.split()[1]) for line in cli("logs", name).lines]
    assert ticks == list(range(1, len(ticks) + 1)), "a gap in the log"
    assert len(ticks) >= 5


def test_stop_exec_attach_kill_work_after(
    cli: Command, bounce: Callable[..., None], unique: Callable[[str], str]
) -> None:
    stopped, attached, killed = unique("stop"), unique("attach"), unique("kill")
    cli("run", "-d", "--name", stopped, *POLITE)
    cli("run", "-di", "--name", attached, "busybox", "cat")
    cli("run", "-d", "--name", killed, "busybox", "sleep", "1000")
    bounce()
    assert cli("exec", stopped, "echo", "in").out == "in"
    cli("stop", stopped)
    assert state(cli, stopped) == "exited 5"
    client = cli.popen("attach", attached)
    assert client.stdin is not None and client.stdout is not None
    client.stdin.write(b"typed\n")
    client.stdin.flush()
    assert client.stdout.readline() == b"typed\n"
    client.kill()
    client.communicate()
    cli("kill", killed)
    assert cli("wait", killed).out == "137"


def test_execs_are_known(own: Pierd, cli: Command, bounce: Callable[..., None], name: str) -> None:
    """One that goes on, and one that ends while pierd is away."""
    cli("run", "-d", "--name", name, "busybox", "sleep", "1000")
    ids = []
    for script in ("sleep 1000", "sleep 0.5; exit 6"):
        body = {"Cmd": ["sh", "-c", script]}
        ids.append(own.api.post(f"/containers/{name}/exec", body).json["Id"])
        assert own.api.post(f"/exec/{ids[-1]}/start", {"Detach": True}).status == 200
    bounce(away_s=1.0)
    assert own.api.get(f"/exec/{ids[0]}/json").json["Running"] is True
    deadline = time.monotonic() + 30
    while (ended := own.api.get(f"/exec/{ids[1]}/json").json)["Running"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ended["ExitCode"] == 6


@pytest.mark.skipif(shutil.which("runc") is None, reason="runc is not installed")
def test_another_runtime(cli: Command, bounce: Callable[..., None], name: str) -> None:
    cli("run", "-d", "--runtime", "other", "--name", name, "busybox", "sleep", "1000")
    assert cli("inspect", "-f", "{{.HostConfig.Runtime}}", name).out == "other"
    assert cli("exec", name, "echo", "before").out == "before"
    bounce()
    assert cli("exec", name, "echo", "after").out == "after"
    cli("pause", name)
    cli("unpause", name)
    cli("rm", "-f", name)


def test_ends_while_pierd_is_away(
    cli: Command, bounce: Callable[..., None], unique: Callable[[str], str]
) -> None:
    by_itself, by_signal = unique("self"), unique("signal")
    cli(
        "run",
        "-d",
        "--name",
        by_itself,
        "busybox",
        "sh",
        "-c",
        "sleep 0.5; echo last words; exit 42",
    )
    cli("run", "-d", "--name", by_signal, "busybox", "sleep", "1000")
    pid = pid_of(cli, by_signal)
    bounce(lambda: os.kill(pid, signal.SIGKILL), away_s=1.0)
    assert cli("wait", by_itself).out == "42"
    assert state(cli, by_itself) == "exited 42"
    assert cli("logs", by_itself).out == "last words"
    assert cli("wait", by_signal).out == "137"


def test_a_wait_and_events_after(cli: Command, bounce: Callable[..., None], name: str) -> None:
    begin = str(int(time.time()) - 1)
    cli("run", "-d", "--name", name, "busybox", "sh", "-c", "sleep 1.5; exit 9")
    bounce()
    assert cli("wait", name).out == "9"
    shown = cli(
        *("events", "--since", begin, "--until", str(int(time.time()) + 1)),
        *("-f", f"container={name}", "--format", "{{.Action}}"),
    ).lines
    assert [a for a in shown if a in ("create", "start", "die")] == ["create", "start", "die"]


def test_auto_remove_while_away(cli: Command, bounce: Callable[..., None], name: str) -> None:
    cli("run", "-d", "--rm", "--name", name, "busybox", "sleep", "0.5")
    bounce(away_s=1.0)
    deadline = time.monotonic() + 5
    while name in cli("ps", "-a", "--format", "{{.Names}}").lines:
        assert time.monotonic() < deadline, "still there"
        time.sleep(0.1)


def test_restart_policy_goes_on(
    cli: Command, bounce: Callable[..., None], unique: Callable[[str], str]
) -> None:
    always, stopped = unique("always"), unique("stopped")
    cli("run", "-d", "--name", always, "--restart", "always", "busybox", "sleep", "1000")
    cli("run", "-d", "--name", stopped, "--restart", "unless-stopped", "busybox", "sleep", "1000")
    cli("stop", "-t", "0", stopped)
    pid = pid_of(cli, always)
    bounce(lambda: os.kill(pid, signal.SIGKILL))
    deadline = time.monotonic() + 10
    while not state(cli, always).startswith("running"):
        assert time.monotonic() < deadline, state(cli, always)
        time.sleep(0.1)
    assert pid_of(cli, always) != pid
    assert state(cli, stopped).startswith("exited")


def test_ports_and_addresses_stay(cli: Command, bounce: Callable[..., None], name: str) -> None:
    cli(
        *("run", "-d", "--name", name, "-p", "127.0.0.1::80", "busybox", "sh", "-c"),
        "mkdir /www; echo hello > /www/index.html; httpd -f -h /www",
    )
    port = int(cli("port", name, "80").out.rsplit(":", 1)[1])

    def fetch() -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/")
        return connection.getresponse().read().decode()

    time.sleep(0.3)
    assert fetch() == "hello\n"
    bounce(lambda: None if fetch() == "hello\n" else pytest.fail("not served while away"))
    assert fetch() == "hello\n"
    second = cli("run", "-d", "-P", "--expose", "80", "busybox", "sleep", "100").out
    address = "{{.NetworkSettings.IPAddress}}"
    assert cli("inspect", "-f", address, second).out != cli("inspect", "-f", address, name).out
    cli.fails("run", "-d", "-p", f"127.0.0.1:{port}:80", "busybox", "true").says(
        "already allocated"
    )


def test_a_terminal_after(cli: Command, bounce: Callable[..., None], name: str) -> None:
    cli("run", "-dit", "--name", name, "busybox", "sh")
    bounce()
    with cli.terminal("attach", name) as screen:
        time.sleep(0.3)
        screen.line("echo $((6*7))")
        screen.expect(r"^42\r")
        screen.line("exit 3")
        assert screen.wait() == 3


def test_health_checks_go_on(cli: Command, bounce: Callable[..., None], name: str) -> None:
    cli(
        *("run", "-d", "--name", name, "--health-cmd", "test -e /ok", "--health-interval", "300ms"),
        *("busybox", "sleep", "1000"),
    )
    bounce()
    cli("exec", name, "touch", "/ok")
    deadline = time.monotonic() + 10
    while cli("inspect", "-f", "{{.State.Health.Status}}", name).out != "healthy":
        assert time.monotonic() < deadline, "did not become healthy"
        time.sleep(0.1)


def test_paused_stays_paused(cli: Command, bounce: Callable[..., None], name: str) -> None:
    cli("run", "-d", "--name", name, "busybox", "sleep", "1000")
    cli("pause", name)
    bounce()
    assert state(cli, name) == "paused 0"
    cli("unpause", name)
    assert state(cli, name) == "running 0"


def test_images_volumes_networks_and_the_created(
    cli: Command, bounce: Callable[..., None], unique: Callable[[str], str]
) -> None:
    volume, network, container = unique("vol"), unique("net"), unique("created")
    cli("volume", "create", volume)
    cli("network", "create", network)
    cli(
        "create", "--name", container, "--network", network, "-v", f"{volume}:/v", "busybox", "true"
    )
    cli("tag", "busybox", f"{volume}:tagged")
    bounce()
    assert volume in cli("volume", "ls", "-q").lines
    assert network in cli("network", "ls", "--format", "{{.Name}}").lines
    assert f"{volume}:tagged" in cli("images", "--format", "{{.Repository}}:{{.Tag}}").lines
    assert cli("start", "-a", container).returncode == 0
    cli("rm", container)
    cli("network", "rm", network)
    cli("rmi", f"{volume}:tagged")


def test_a_reboot(cli: Command, own: Pierd, name: str) -> None:
    """Everything below the exec root gone and every process dead, as after a power cut."""
    from support.leaks import kill_monitors, unmount_below

    cli("run", "-d", "--name", name, "--restart", "always", "busybox", "sleep", "1000")
    cli("run", "-d", "--name", f"{name}-x", "busybox", "sleep", "1000")
    own.kill9()
    kill_monitors(own.base)
    unmount_below(own.base)
    subprocess.run(["rm", "-rf", str(own.exec_root)], check=True)
    own.start()
    deadline = time.monotonic() + 10
    while not state(cli, name).startswith("running"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert state(cli, f"{name}-x").split()[0] == "exited"
    cli("start", f"{name}-x")


def test_two_daemons_do_not_share_a_data_root(own: Pierd) -> None:
    argv = [part if part != own.host else own.host + "2" for part in own.argv]
    second = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert second.returncode != 0
    assert "in use by another pierd" in second.stderr + second.stdout
    assert own.api.get("/_ping").status == 200


def test_reload_of_the_configuration(own: Pierd, cli: Command) -> None:
    own.config_file.write_text('{"labels": ["reloaded=yes"], "debug": true}')
    own.reload()
    deadline = time.monotonic() + 5
    while "reloaded=yes" not in (Api(own.host).get("/info").json["Labels"] or []):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    own.config_file.write_text('{"no-such-key": 1}')
    own.reload()  # refused and logged; what was stays
    time.sleep(0.3)
    assert "no-such-key" in own.tail()
    assert Api(own.host).get("/info").json["Labels"] == ["reloaded=yes"]
    own.config_file.write_text("{}")
