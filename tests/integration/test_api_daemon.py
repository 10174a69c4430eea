"""pierd as a process: configuration, lock, sockets, signals, service manager."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Pierd

pytestmark = pytest.mark.root


@pytest.fixture
def pierd() -> Iterator[Pierd]:
    daemon = Pierd("api")
    try:
        yield daemon
    finally:
        daemon.destroy()


def refused(daemon: Pierd, *extra: str, env: dict[str, str] | None = None) -> str:
    """Start one that must not run; what it says."""
    done = subprocess.run(
        [*daemon.argv, *extra], capture_output=True, text=True, timeout=30, env=env
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def eventually(check: Any, timeout_s: float = 5) -> None:
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_clean_life(pierd: Pierd) -> None:
    pierd.start()
    assert stat.S_IMODE(pierd.socket.stat().st_mode) == 0o660
    pidfile = pierd.base / "pierd.pid"
    assert pidfile.read_text() == f"{pierd.pid}\n"
    pierd.stop()
    assert pierd.process is not None and pierd.process.returncode == 0
    assert not pidfile.exists() and not pierd.socket.exists()
    assert "level=error" not in pierd.log.read_text()


def test_a_second_one_is_told_who_is_first(pierd: Pierd) -> None:
    pierd.start()
    said = refused(pierd, "--pidfile", str(pierd.base / "other.pid"))
    assert f"in use by another pierd (pid {pierd.pid})" in said
    assert pierd.api.get("/_ping").status == 200  # its socket is still there


def test_after_a_kill_it_starts_again(pierd: Pierd) -> None:
    pierd.start()
    before = pierd.api.get("/info").json["ID"]
    pierd.kill9()
    assert pierd.socket.exists()
    pierd.start()
    assert pierd.api.get("/info").json["ID"] == before


def test_every_fault_of_the_configuration_at_once(pierd: Pierd) -> None:
    pierd.config_file.write_text('{"debug": 1, "nonsense": 2, "hosts": []}')
    said = refused(pierd, "--mtu", "x")
    for words in ("debug: expected true", "option: nonsense", "both as a flag", "--mtu"):
        assert words in said


def test_missing_parts_are_named_with_their_package(pierd: Pierd) -> None:
    said = refused(pierd, env={"PATH": "/nonexistent"})
    assert "apt-get install crun" in said and "apt-get install conmon" in said
    assert not pierd.data_root.exists()  # nothing was touched


def test_an_address_in_use(pierd: Pierd) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = refused(pierd, "-H", f"tcp://127.0.0.1:{taken.getsockname()[1]}")
    assert "Address already in use" in said
    assert not pierd.socket.exists()


def test_reload(pierd: Pierd) -> None:
    pierd.start()
    pierd.config_file.write_text('{"labels": ["zone=b"], "debug": true, "bridge": "ignored"}')
    pierd.reload()
    eventually(lambda: pierd.api.get("/info").json["Labels"] == ["zone=b"])
    assert pierd.api.get("/info").json["Debug"] is True
    events = pierd.api.get("/v1.41/events?since=1&until=0s").body.splitlines()
    (event,) = [item for item in map(json.loads, events) if item["Type"] == "daemon"]
    assert event["Action"] == "reload"
    assert event["Actor"]["Attributes"]["labels"] == '["zone=b"]'
    pierd.config_file.write_text('{"labels": "broken"}')
    pierd.reload()
    eventually(lambda: "reload refused" in pierd.log.read_text())
    assert pierd.api.get("/info").json["Labels"] == ["zone=b"]


def test_json_logs(pierd: Pierd) -> None:
    pierd.extra = ["--log-format", "json"]
    pierd.start()
    pierd.stop()
    lines = [json.loads(line) for line in pierd.log.read_text().splitlines()]
    assert {"ready", "stopped"} <= {line["msg"] for line in lines}


def test_socket_activation_and_readiness(pierd: Pierd, tmp_path: Path) -> None:
    """As systemd does it: the socket is made by another, pierd says when it is ready."""
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    notify.settimeout(20)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(pierd.socket))
    listening.listen()
    argv = [word if word != pierd.host else "fd://" for word in pierd.argv]
    starter = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", starter, str(listening.fileno()), *argv],
        env={**os.environ, "LISTEN_FDS": "1", "NOTIFY_SOCKET": str(tmp_path / "notify")},
        pass_fds=[listening.fileno()],
        stdout=subprocess.DEVNULL,
        stderr=pierd.log.open("ab"),
    )
    try:
        assert b"READY=1" in notify.recv(1024)
        assert pierd.api.get("/_ping").status == 200
        child.send_signal(signal.SIGHUP)
        assert b"RELOADING=1" in notify.recv(1024)
        assert b"READY=1" in notify.recv(1024)
        child.terminate()
        assert b"STOPPING=1" in notify.recv(1024)
        assert child.wait(20) == 0
        assert pierd.socket.exists()  # systemd's, not ours to remove
    finally:
        child.kill()
        child.wait()
        listening.close()
        notify.close()


def test_stop_ends_streams_at_once(pierd: Pierd) -> None:
    pierd.start()
    streams = []
    for _ in range(5):
        stream = pierd.api.connect()
        stream.sendall(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
        assert b" 200 " in stream.recv(1024)
        streams.append(stream)
    began = time.monotonic()
    pierd.stop()
    assert time.monotonic() - began < 3
    for stream in streams:
        while stream.recv(1024):
            pass
        stream.close()


def test_idle_memory_is_small(pierd: Pierd) -> None:
    """The bar is a third of dockerd and containerd, which is 47 MB; we want less."""
    pierd.start()
    pierd.api.get("/info")
    rollup = Path(f"/proc/{pierd.pid}/smaps_rollup").read_text()
    private = sum(
        int(line.split()[1])
        for line in rollup.splitlines()
        if line.startswith(("Private_Dirty:", "Private_Clean:"))
    )
    assert private < 44_000, f"{private} kB private"
