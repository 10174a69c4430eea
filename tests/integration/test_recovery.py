"""A pierd that is killed or whose host restarts: records and reality agree afterwards."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.daemon import Pierd
from support.leaks import kill_monitors, monitors, mounts_below, unmount_below

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def daemon() -> Iterator[Pierd]:
    daemon = Pierd("reco")
    daemon.start()
    answer = daemon.api.post("/pierhead/images/bootstrap?spec=busybox", timeout_s=120)
    assert answer.status == 200, answer
    yield daemon
    daemon.destroy()


@pytest.fixture
def pierd(daemon: Pierd) -> Iterator[Pierd]:
    yield daemon
    if daemon.process is None or daemon.process.poll() is not None:
        daemon.start()
    daemon.remove_all_containers()


def run(pierd: Pierd, *command: str, name: str = "", start: bool = True, **host: Any) -> str:
    """Create and start; the id."""
    body = {"Image": "busybox", "Cmd": list(command), "HostConfig": host}
    answer = pierd.api.post(f"/containers/create?name={name}", body)
    assert answer.status == 201, answer
    container_id = str(answer.json["Id"])
    if start:
        assert pierd.api.post(f"/containers/{container_id}/start").status == 204
    return container_id


def state(pierd: Pierd, container_id: str) -> dict[str, Any]:
    answer = pierd.api.get(f"/containers/{container_id}/json")
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.json["State"]
    return found


def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def logs(pierd: Pierd, container_id: str) -> bytes:
    return pierd.api.get(f"/containers/{container_id}/logs?stdout=1&stderr=1").body


def test_running_ones_go_on(pierd: Pierd) -> None:
    one = run(pierd, "sh", "-c", "while :; do echo tick; sleep 0.1; done")
    before = state(pierd, one)
    pierd.kill9()
    time.sleep(0.5)
    pierd.start()
    after = state(pierd, one)
    assert (after["Running"], after["Pid"], after["StartedAt"]) == (
        True,
        before["Pid"],
        before["StartedAt"],
    )
    assert logs(pierd, one).count(b"tick") >= 4, "what was written meanwhile is in the log"
    assert pierd.api.post(f"/containers/{one}/stop?t=1", timeout_s=20).status == 204
    assert state(pierd, one)["ExitCode"] == 137


def test_an_exit_nobody_saw(pierd: Pierd) -> None:
    one = run(pierd, "sh", "-c", "sleep 0.5; exit 9")
    gone = run(pierd, "sleep", "0.5", AutoRemove=True)
    pierd.kill9()
    time.sleep(1.5)
    pierd.start()
    found = state(pierd, one)
    assert (found["Status"], found["ExitCode"]) == ("exited", 9)
    assert pierd.api.get(f"/containers/{gone}/json").status == 404


def test_a_clean_stop_leaves_containers_running(pierd: Pierd) -> None:
    one = run(pierd, "sleep", "600")
    pierd.stop()
    assert monitors(pierd.base)
    pierd.start()
    assert state(pierd, one)["Running"]


def test_paused_stays_paused(pierd: Pierd) -> None:
    one = run(pierd, "sleep", "600")
    assert pierd.api.post(f"/containers/{one}/pause").status == 204
    pierd.kill9()
    pierd.start()
    assert state(pierd, one)["Status"] == "paused"
    assert pierd.api.post(f"/containers/{one}/unpause").status == 204
    assert state(pierd, one)["Status"] == "running"


def test_a_restart_of_the_host(pierd: Pierd) -> None:
    """Everything that ran is gone, the exec root too: policies decide."""
    plain = run(pierd, "sleep", "600")
    always = run(pierd, "sleep", "600", RestartPolicy={"Name": "always"})
    unless = run(pierd, "sleep", "600", RestartPolicy={"Name": "unless-stopped"})
    failing = run(pierd, "sleep", "600", RestartPolicy={"Name": "on-failure"})
    stopped = run(pierd, "sleep", "600", RestartPolicy={"Name": "unless-stopped"})
    assert pierd.api.post(f"/containers/{stopped}/kill").status == 204
    brief = run(pierd, "sleep", "600", AutoRemove=True)
    pierd.kill9()
    kill_monitors(pierd.base)
    unmount_below(pierd.base)
    shutil.rmtree(pierd.exec_root)
    pierd.start()
    assert state(pierd, plain)["Status"] == "exited"
    assert state(pierd, plain)["ExitCode"] == 255
    for one in (always, unless, failing):
        until(lambda one=one: state(pierd, one)["Status"] == "running")  # type: ignore[misc]
    assert state(pierd, stopped)["Status"] == "exited"
    assert pierd.api.get(f"/containers/{brief}/json").status == 404


def test_always_starts_again_with_pierd_even_if_stopped(pierd: Pierd) -> None:
    always = run(pierd, "sleep", "600", RestartPolicy={"Name": "always"})
    assert pierd.api.post(f"/containers/{always}/kill").status == 204
    time.sleep(0.5)
    assert state(pierd, always)["Status"] == "exited"
    pierd.kill9()
    pierd.start()
    until(lambda: state(pierd, always)["Status"] == "running")


def test_conmon_killed_under_pierd(pierd: Pierd) -> None:
    """The exit code is lost, the container is not left running unwatched."""
    one = run(pierd, "sleep", "600")
    pid = state(pierd, one)["Pid"]
    for monitor in monitors(pierd.base):
        os.kill(monitor, signal.SIGKILL)
    until(lambda: state(pierd, one)["Status"] == "exited")
    assert state(pierd, one)["ExitCode"] == 255
    assert _ended(pid)
    assert pierd.api.post(f"/containers/{one}/start").status == 204


def test_killed_at_any_moment(pierd: Pierd) -> None:
    """What was acknowledged is there, what is there is whole, and nothing else is left."""
    source = random.Random(11)
    for round_ in range(8):
        created: dict[str, str] = {}
        started: set[str] = set()
        removed: set[str] = set()
        stop = threading.Event()

        def work(number: int, round_: int = round_) -> None:
            count = 0
            while not stop.is_set():  # noqa: B023
                count += 1
                name = f"t{round_}-{number}-{count}"
                try:
                    answer = pierd.api.post(
                        f"/containers/create?name={name}",
                        {"Image": "busybox", "Cmd": ["sleep", "600"]},
                    )
                    if answer.status != 201:
                        return
                    created[name] = answer.json["Id"]  # noqa: B023
                    if pierd.api.post(f"/containers/{name}/start").status != 204:
                        return
                    started.add(name)  # noqa: B023
                    if count % 2:
                        if pierd.api.delete(f"/containers/{name}?force=1").status != 204:
                            return
                        removed.add(name)  # noqa: B023
                except OSError:
                    return

        threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(source.uniform(0.1, 0.6))
        pierd.kill9()
        stop.set()
        for thread in threads:
            thread.join()
        pierd.start()
        found = {c["Names"][0][1:]: c for c in pierd.api.get("/containers/json?all=1").json}
        for name, container_id in created.items():
            if name in removed:
                assert name not in found, f"{name} was removed"
            elif name in found:
                assert found[name]["Id"] == container_id
                if name in started and not _was_being_removed(name):
                    assert found[name]["State"] == "running", found[name]
            else:
                assert _was_being_removed(name), f"{name} was created and is gone"
        for container in found.values():
            answer = pierd.api.get(f"/containers/{container['Id']}/json")
            assert answer.status == 200
            assert answer.json["State"]["Status"] in ("created", "running", "exited")
    pierd.remove_all_containers()
    until(lambda: not monitors(pierd.base))
    assert not [m for m in mounts_below(pierd.base) if "/containers/" in m]
    until(lambda: not os.listdir(pierd.exec_root / "containers"))
    until(lambda: not os.listdir(pierd.exec_root / "crun"))
    assert os.listdir(pierd.exec_root / "exits") == []


def _ended(pid: int) -> bool:
    """Gone, or dead and not yet reaped."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def _was_being_removed(name: str) -> bool:
    """Odd ones are removed at once: the kill may have come after that was done."""
    return int(name.rsplit("-", 1)[1]) % 2 == 1
