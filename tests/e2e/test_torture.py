"""kill -9 at random moments under load, again and again; then count everything.

Workers create, start, exec, load, remove as fast as they are answered and write down what
was acknowledged. After each kill pierd is started again, and whatever it promised must be
there; at the end nothing else may be: no process, mount, interface, rule, directory.

``PIERHEAD_TORTURE_SEED`` repeats a run, ``PIERHEAD_TORTURE_ROUNDS`` makes it longer.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.daemon import Pierd
from support.http import Api, Response

from .conftest import GIVEN_HOST, make_command

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(GIVEN_HOST), reason="kills a pierd of its own"),
]

ROUNDS = int(os.environ.get("PIERHEAD_TORTURE_ROUNDS", "50"))
SEED = int(os.environ.get("PIERHEAD_TORTURE_SEED", "0")) or random.SystemRandom().getrandbits(32)
WORKERS = 4
V = "/v1.41"


@dataclass
class Promises:
    """What was acknowledged. One worker writes one name, so no two disagree about it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    there: dict[str, str] = field(default_factory=dict)  # container name -> id
    sleepers: set[str] = field(default_factory=set)  # run until they are told to stop
    running: set[str] = field(default_factory=set)  # sleepers whose start was acknowledged
    gone: set[str] = field(default_factory=set)  # removal acknowledged
    unsure: set[str] = field(default_factory=set)  # asked for, and no answer came
    images: set[str] = field(default_factory=set)
    images_unsure: set[str] = field(default_factory=set)
    acknowledged: int = 0


class Lost(Exception):
    """No answer: the daemon died under the request."""


def ask(api: Api, method: str, path: str, body: object = None) -> Response:
    try:
        return api.request(method, V + path, body, timeout_s=30)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Lost from error


def small_image(ref: str) -> bytes:
    """A docker archive of one layer and of its own content."""
    import hashlib

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        entry = tarfile.TarInfo("file")
        entry.size = len(ref) * 1000
        tar.addfile(entry, io.BytesIO(ref.encode() * 1000))
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/file"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": ["sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()],
            },
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": [ref], "Layers": ["layer.tar"]}]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in (
            ("config.json", config),
            ("layer.tar", layer.getvalue()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


class Worker(threading.Thread):
    """Does one random thing after another until told to stop or nobody answers."""

    def __init__(self, pierd: Pierd, promises: Promises, number: int, round_: int) -> None:
        super().__init__(daemon=True)
        self.api = Api(pierd.host)
        self.promises = promises
        self.random = random.Random(f"{SEED}/{round_}/{number}")
        self.prefix = f"t{number}-{round_}"
        self.mine = [n for n in promises.there if n.startswith(f"t{number}-")]
        self.count = 0
        self.stop = threading.Event()
        self.errors: list[str] = []

    def run(self) -> None:
        while not self.stop.is_set():
            step = self.random.choices(
                [self.create, self.start_one, self.exec_one, self.load, self.remove, self.stop_one],
                [5, 5, 3, 1, 5, 1],
            )[0]
            try:
                step()
            except Lost:
                return

    def check(self, answer: Response, what: str, *expected: int) -> bool:
        if answer.status in expected:
            with self.promises.lock:
                self.promises.acknowledged += 1
            return True
        self.errors.append(f"{what}: {answer.status} {answer.body[:300]!r}")
        return False

    def create(self) -> None:
        self.count += 1
        name = f"{self.prefix}-{self.count}"
        promises = self.promises
        sleeps = self.random.random() < 0.7
        command = ["sleep", "1000"] if sleeps else ["sh", "-c", "exit 3"]
        body = {
            "Image": "busybox",
            "Cmd": command,
            "StopSignal": "SIGKILL",
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}}
            if self.random.random() < 0.3
            else {},
        }
        promises.unsure.add(name)
        answer = ask(self.api, "POST", f"/containers/create?name={name}", body)
        if self.check(answer, "create", 201):
            promises.there[name] = answer.json["Id"]
            self.mine.append(name)
            if sleeps:
                promises.sleepers.add(name)
        promises.unsure.discard(name)

    def pick(self) -> str | None:
        return self.random.choice(self.mine) if self.mine else None

    def start_one(self) -> None:
        if name := self.pick():
            answer = ask(self.api, "POST", f"/containers/{name}/start")
            if self.check(answer, f"start {name}", 204, 304) and name in self.promises.sleepers:
                self.promises.running.add(name)

    def exec_one(self) -> None:
        if name := self.pick():
            made = ask(self.api, "POST", f"/containers/{name}/exec", {"Cmd": ["true"]})
            if made.status == 409:  # it does not run
                return
            if self.check(made, f"exec {name}", 201):
                answer = ask(self.api, "POST", f"/exec/{made.json['Id']}/start", {"Detach": True})
                self.check(answer, f"exec start in {name}", 200, 204, 409)

    def stop_one(self) -> None:
        if name := self.pick():
            self.promises.running.discard(name)
            answer = ask(self.api, "POST", f"/containers/{name}/stop?t=1")
            self.check(answer, f"stop {name}", 204, 304)

    def load(self) -> None:
        self.count += 1
        ref = f"{self.prefix}-img:{self.count}"
        self.promises.images_unsure.add(ref)
        answer = ask(self.api, "POST", "/images/load?quiet=1", small_image(ref))
        if self.check(answer, "load", 200):
            if b"Loaded image" in answer.body:
                self.promises.images.add(ref)
            else:
                self.errors.append(f"load {ref}: {answer.body[:300]!r}")
        self.promises.images_unsure.discard(ref)

    def remove(self) -> None:
        if name := self.pick():
            self.mine.remove(name)
            self.promises.running.discard(name)
            self.promises.there.pop(name)
            self.promises.unsure.add(name)
            answer = ask(self.api, "DELETE", f"/containers/{name}?force=1&v=1")
            if self.check(answer, f"remove {name}", 204):
                self.promises.unsure.discard(name)
                self.promises.gone.add(name)


def examine(pierd: Pierd, promises: Promises) -> None:
    """Everything promised is there and nothing that was promised gone."""
    listed = {c["Names"][0][1:]: c for c in pierd.api.get(f"{V}/containers/json?all=1").json}
    missing = {name for name in promises.there if name not in listed}
    assert not missing, f"acknowledged, and lost: {missing}"
    wrong = {n for n, full in promises.there.items() if listed[n]["Id"] != full}
    assert not wrong, f"another container under the name: {wrong}"
    risen = promises.gone & set(listed)
    assert not risen, f"removal acknowledged, and back again: {risen}"
    strange = set(listed) - set(promises.there) - promises.unsure
    assert not strange, f"nobody asked for: {strange}"
    fallen = {n: listed[n]["Status"] for n in promises.running if listed[n]["State"] != "running"}
    assert not fallen, f"start acknowledged, and not running: {fallen}"
    for name, container in listed.items():
        assert container["State"] in ("created", "running", "exited"), (name, container["State"])
    tags = {tag for image in pierd.api.get(f"{V}/images/json").json for tag in image["RepoTags"]}
    assert promises.images <= tags, f"images lost: {promises.images - tags}"
    # whoever was unsure is decided now, one way or the other
    for name in list(promises.unsure):
        if name in listed:
            promises.there[name] = listed[name]["Id"]
        promises.unsure.discard(name)
    promises.images |= promises.images_unsure & tags
    promises.images_unsure.clear()


def running_ids(pierd: Pierd) -> set[str]:
    return {c["Id"] for c in pierd.api.get(f"{V}/containers/json").json}


@pytest.fixture
def victim() -> Iterator[Pierd]:
    pierd = Pierd("tort")
    try:
        pierd.start()
        make_command("pier", pierd.host)("image", "bootstrap", "busybox", timeout_s=120)
        pierd.census.take()
        yield pierd
    finally:
        pierd.destroy()


def monitors_of(pierd: Pierd) -> dict[int, str]:
    from support.leaks import monitors

    return {pid: line for pid, line in monitors(pierd.base).items() if "conmon" in line.split()[0]}


def until(condition: Callable[[], Any], message: Callable[[], str], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, message()
        time.sleep(0.1)


def test_fifty_deaths(victim: Pierd) -> None:
    print(f"PIERHEAD_TORTURE_SEED={SEED}, {ROUNDS} rounds")
    dice = random.Random(SEED)
    promises = Promises()
    errors: list[str] = []
    slowest = 0.0
    begin = time.monotonic()
    for round_ in range(ROUNDS):
        if time.monotonic() - begin > 600:
            pytest.fail(f"only {round_} rounds in ten minutes (seed {SEED})")
        workers = [Worker(victim, promises, n, round_) for n in range(WORKERS)]
        for worker in workers:
            worker.start()
        time.sleep(dice.uniform(0.05, 1.5))
        victim.kill9()
        for worker in workers:
            worker.stop.set()
        for worker in workers:
            worker.join(40)
            assert not worker.is_alive(), f"a worker hangs (seed {SEED}, round {round_})"
            errors += worker.errors
        started = time.monotonic()
        victim.start()
        slowest = max(slowest, time.monotonic() - started)
        try:
            examine(victim, promises)
        except AssertionError as error:
            raise AssertionError(f"seed {SEED}, round {round_}: {error}\n{victim.tail()}") from None
        # keep the population, and so the time of a round, within bounds
        for name in dice.sample(sorted(promises.there), max(0, len(promises.there) - 12)):
            answer = victim.api.delete(f"{V}/containers/{name}?force=1&v=1", timeout_s=30)
            assert answer.status == 204, f"seed {SEED}, {name}: {answer}\n{victim.tail()}"
            promises.gone.add(name)
            promises.running.discard(name)
            promises.there.pop(name)
    print(
        f"{promises.acknowledged} requests acknowledged, {len(promises.gone)} removals, "
        f"{len(promises.images)} images, slowest start {slowest:.2f} s, "
        f"{time.monotonic() - begin:.0f} s in all"
    )
    assert not errors, f"seed {SEED}: {len(errors)} requests refused:\n" + "\n".join(errors[:20])

    # a monitor for each container that runs, and for nothing else
    until(
        lambda: len(monitors_of(victim)) == len(running_ids(victim)),
        lambda: f"seed {SEED}: {len(running_ids(victim))} run, monitors {monitors_of(victim)}",
    )
    # and when all are gone, nothing is left
    victim.remove_all_containers()
    left = victim.census.leftovers()
    assert not left, f"seed {SEED}:\n" + "\n".join(left)
    for folder in (victim.data_root / "containers", victim.exec_root / "containers"):
        assert list(folder.iterdir()) == [], f"seed {SEED}: left in {folder}"
    for folder in (victim.data_root / "ingest", victim.data_root / "tmp"):
        assert list(folder.iterdir()) == [], f"seed {SEED}: left in {folder}"
    # every image that was promised can still be read to its last byte
    for ref in sorted(promises.images)[:10]:
        assert victim.api.get(f"{V}/images/{ref}/get").status == 200
