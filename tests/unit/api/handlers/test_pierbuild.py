"""POST /pierhead/build and its neighbours at the edge, with a service that plays builds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from pierhead.api.build.session import fitting, payloads
from pierhead.build.execute.kept import Kept
from pierhead.build.execute.model import RunStep, StepFailed
from pierhead.build.execute.mounts import CacheMount
from pierhead.build.export.model import Solved
from pierhead.build.history import HistoryRecord, HistoryStep
from pierhead.build.model import BuildOptions, BuildResult, Client, Emit, Output, StepDone, StepLog
from pierhead.client import build_wire as wire
from pierhead.errors import NotFound
from pierhead.oci.digest import sha256
from support.api import fake_engine, serving

STEP = sha256(b"step")


class Shell:
    """Echoes until its input ends, then exits with 7."""

    def __init__(self) -> None:
        self._echo: asyncio.Queue[bytes] = asyncio.Queue()
        self.sizes: list[tuple[int, int]] = []
        self.closed = False

    async def read(self) -> bytes:
        return await self._echo.get()

    async def write(self, data: bytes) -> None:
        self._echo.put_nowait(data)

    async def resize(self, height: int, width: int) -> None:
        self.sizes.append((height, width))

    async def close_stdin(self) -> None:
        self._echo.put_nowait(b"")

    async def wait(self) -> int:
        return 7

    async def close(self) -> None:
        self.closed = True


class Mounts:
    def __init__(self) -> None:
        self.kept = [
            CacheMount(
                id="/root/.cache",
                name="/root/.cache",
                size_bytes=5,
                created_ns=1,
                used_ns=2,
                uses=3,
                in_use=False,
                shared=True,
            )
        ]

    async def measure(self) -> None:
        pass

    def list(self) -> list[CacheMount]:
        return self.kept

    async def remove(self, ids: Sequence[str]) -> int:
        self.kept = []
        return 5

    async def export(self, id: str) -> AsyncIterator[bytes]:
        if id != "/root/.cache":
            raise NotFound(f"no such cache mount: {id}")
        yield b"tar"


class Executor:
    def __init__(self) -> None:
        self.shell = Shell()
        self.asked: list[Any] = []
        self.mounts = Mounts()

    def kept(self) -> Sequence[Kept]:
        step = RunStep(args=["false"])
        return [
            Kept(
                id="k", build_ref="r", name="RUN", exit_code=1, failed_ns=0, expires_ns=1, step=step
            )
        ]

    async def forget(self, debug_id: str) -> None:
        if debug_id != "k":
            raise NotFound(f"no failed step {debug_id}")

    async def debug_shell(
        self, debug_id: str, argv: Sequence[str], *, tty: bool, size: tuple[int, int]
    ) -> Shell:
        await self.forget(debug_id)
        self.asked.append((debug_id, list(argv), tty, size))
        return self.shell


class Builds:
    def __init__(self, work: Callable[[Client, Emit], Any] | None = None) -> None:
        self._work = work
        self.executor = Executor()
        self.released: list[Any] = []
        self.removed: list[str] = []
        self.ended = asyncio.Event()

    async def build(self, options: BuildOptions, client: Client, emit: Emit) -> BuildResult:
        try:
            if self._work is not None:
                await self._work(client, emit)
            return BuildResult(ref="r")
        finally:
            self.ended.set()

    async def solve(self, options: BuildOptions, client: Client, emit: Emit) -> Solved:
        return Solved(ref="r", options=options)

    async def export(
        self, solved: Solved, outputs: Sequence[Output], client: Client, emit: Emit
    ) -> BuildResult:
        return BuildResult(ref=solved.ref)

    async def release(self, solved: Solved, error: Any = None) -> None:
        self.released.append(error)
        self.ended.set()

    async def describe(self, options: BuildOptions, client: Client, emit: Emit, call: str) -> Any:
        return {"asked": call}

    def history(self) -> list[HistoryRecord]:
        steps = [HistoryStep(id="a", name="x", finished_ns=1, cached=True)]
        return [HistoryRecord(ref="r", dockerfile="FROM x", steps=steps)]

    def history_record(self, ref: str) -> HistoryRecord:
        if ref != "r":
            raise NotFound(f"no such build: {ref}")
        return self.history()[0]

    def logs(self, ref: str) -> list[tuple[str, bytes]]:
        return [("a", b"one\xff"), ("b", b"two")]

    async def history_remove(self, ref: str = "") -> int:
        self.removed.append(ref)
        return 1


class Conversation:
    """A client of the build door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._decoder = wire.Decoder()
        self._frames: list[tuple[int, int, bytes]] = []

    @classmethod
    async def open(cls, path: Path, target: str = "/pierhead/build") -> Conversation:
        reader, writer = await asyncio.open_unix_connection(str(path / "api.sock"))
        head = f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        writer.write(head.encode() + b"Content-Length: 0\r\n\r\n")
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def next(self) -> tuple[int, int, bytes]:
        while not self._frames:
            data = await asyncio.wait_for(self.reader.read(1 << 16), 10)
            assert data, "the daemon has closed"
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    async def json(self, kind: int) -> Any:
        """The next frame of this kind as JSON, events in between left out."""
        while True:
            found, _, payload = await self.next()
            if found == kind:
                return wire.decode(payload)
            assert found == wire.EVENTS, wire.decode(payload)


async def test_a_build(tmp_path: Path) -> None:
    async def work(client: Client, emit: Emit) -> None:
        assert await client.secret("s") == b"geheim"
        emit(StepLog(time_ns=1, step=STEP, stream=1, data=b"hi\n"))

    async with serving(fake_engine(tmp_path, build=Builds(work)), tmp_path):
        client = await Conversation.open(tmp_path)
        client.send(wire.json_frame(wire.START, 0, {"tags": ["x"]}))
        kind, channel, payload = await client.next()
        assert (kind, wire.decode(payload)) == (wire.ASK, {"op": "secret", "id": "s"})
        client.send(wire.frame(wire.LAST, channel, b"geheim"))
        kind, _, payload = await client.next()
        assert kind == wire.EVENTS
        [event] = wire.decode(payload)
        assert event == {"type": "log", "time_ns": 1, "step": STEP, "stream": 1, "data": "hi\n"}
        assert (await client.json(wire.RESULT))["ref"] == "r"
        assert await client.reader.read() == b""


async def test_failures(tmp_path: Path) -> None:
    async def work(client: Client, emit: Emit) -> None:
        emit(StepDone(time_ns=1, step=STEP, error="no"))
        raise StepFailed("no", 5, "d")

    async with serving(fake_engine(tmp_path, build=Builds(work)), tmp_path):
        client = await Conversation.open(tmp_path)
        client.send(wire.json_frame(wire.START, 0, {"ref": "mine"}))
        found = await client.json(wire.FAILED)
        assert (found["exit_code"], found["debug_id"], found["ref"]) == (5, "d", "mine")
        assert found["step"] == STEP
        client = await Conversation.open(tmp_path)
        client.send(wire.json_frame(wire.START, 0, {"nonsense": 1}))
        assert "nonsense" in (await client.json(wire.FAILED))["message"]


async def hang(client: Client, emit: Emit) -> None:
    emit(StepLog(time_ns=1, step=STEP, stream=1, data=b"begun\n"))
    await asyncio.Event().wait()


async def test_cancel(tmp_path: Path) -> None:
    builds = Builds(hang)
    async with serving(fake_engine(tmp_path, build=builds), tmp_path):
        client = await Conversation.open(tmp_path)
        client.send(wire.json_frame(wire.START, 0, {}))
        assert (await client.next())[0] == wire.EVENTS
        client.send(wire.frame(wire.CANCEL, 0))
        assert (await client.json(wire.FAILED))["kind"] == "canceled"
        assert builds.ended.is_set()


async def test_a_client_that_breaks_the_rules_hears_of_it(tmp_path: Path) -> None:
    async def wait(client: Client, emit: Emit) -> None:
        await client.secret("s")

    async with serving(fake_engine(tmp_path, build=Builds(wait)), tmp_path):
        client = await Conversation.open(tmp_path)
        client.send(wire.json_frame(wire.START, 0, {}))
        _, channel, _ = await client.next()
        client.send(wire.frame(wire.RESULT, channel, b"{}"))
        assert "not the client's to send" in (await client.json(wire.FAILED))["message"]


async def test_a_build_ends_with_its_client(tmp_path: Path) -> None:
    builds = Builds(hang)
    async with serving(fake_engine(tmp_path, build=builds), tmp_path):
        client = await Conversation.open(tmp_path)
        client.send(wire.json_frame(wire.START, 0, {}))
        assert (await client.next())[0] == wire.EVENTS
        client.writer.close()
        await asyncio.wait_for(builds.ended.wait(), 10)


async def test_a_kept_build_is_held_as_long_as_its_client_stays(tmp_path: Path) -> None:
    builds = Builds()
    async with serving(fake_engine(tmp_path, build=builds), tmp_path):
        client = await Conversation.open(tmp_path)
        client.send(wire.json_frame(wire.START, 0, {"keep": True}))
        assert (await client.json(wire.RESULT))["ref"] == "r"
        assert builds.released == []
        client.writer.close()
        await asyncio.wait_for(builds.ended.wait(), 10)
        assert builds.released == [None]


async def test_descriptions(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path, build=Builds()), tmp_path):
        client = await Conversation.open(tmp_path)
        client.send(wire.json_frame(wire.START, 0, {"call": "outline"}))
        assert (await client.json(wire.RESULT))["described"] == {"asked": "outline"}


async def test_debug_shells(tmp_path: Path) -> None:
    builds = Builds()
    shell = builds.executor.shell
    async with serving(fake_engine(tmp_path, build=builds), tmp_path) as ask:
        assert (await ask("GET", "/pierhead/build/debug")).json()[0]["id"] == "k"
        assert (await ask("POST", "/pierhead/build/debug/x")).status == 404
        assert (await ask("POST", "/pierhead/build/debug/k?cmd=x")).status == 400
        assert (await ask("DELETE", "/pierhead/build/debug/k")).status == 204
        target = '/pierhead/build/debug/k?cmd=["sh","-l"]&tty=1&h=24&w=80'
        client = await Conversation.open(tmp_path, target)
        client.send(wire.json_frame(wire.RESIZE, 0, [30, 90]), wire.frame(wire.DATA, 0, b"hi"))
        assert await client.next() == (wire.DATA, wire.DEBUG_OUTPUT, b"hi")
        client.send(wire.frame(wire.LAST, wire.DEBUG_INPUT))
        assert await client.json(wire.EXITED) == {"exit_code": 7}
        assert await client.reader.read() == b""
    assert shell.sizes == [(30, 90)]
    assert shell.closed
    assert builds.executor.asked == [("k", ["sh", "-l"], True, (24, 80))]


async def test_history(tmp_path: Path) -> None:
    builds = Builds()
    async with serving(fake_engine(tmp_path, build=builds), tmp_path) as ask:
        [short] = (await ask("GET", "/pierhead/build/history")).json()
        assert (short["ref"], short["total_steps"], short["cached_steps"]) == ("r", 1, 1)
        assert "dockerfile" not in short
        whole = (await ask("GET", "/pierhead/build/history/r")).json()
        assert (whole["dockerfile"], whole["steps"][0]["id"]) == ("FROM x", "a")
        assert (await ask("GET", "/pierhead/build/history/x")).status == 404
        logs = (await ask("GET", "/pierhead/build/history/r/logs")).json()
        assert logs == [{"step": "a", "data": "one\udcff"}, {"step": "b", "data": "two"}]
        assert (await ask("GET", "/pierhead/build/history/r/logs?step=a")).body == b"one\xff"
        assert (await ask("DELETE", "/pierhead/build/history/r")).json() == {"removed": 1}
        assert (await ask("DELETE", "/pierhead/build/history")).status == 200
    assert builds.removed == ["r", ""]


async def test_cache_mounts(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path, build=Builds()), tmp_path) as ask:
        base = "/pierhead/build/mounts"
        [mount] = (await ask("GET", base)).json()
        assert (mount["id"], mount["size_bytes"]) == ("/root/.cache", 5)
        answer = await ask("GET", f"{base}/%2Froot%2F.cache")
        assert (answer.status, answer.body) == (200, b"tar")
        assert (await ask("GET", f"{base}/x")).status == 404
        assert (await ask("DELETE", f"{base}/x")).status == 404
        assert (await ask("DELETE", f"{base}/%2Froot%2F.cache")).json() == {"SpaceReclaimed": 5}


def test_long_events_are_cut_to_frames() -> None:
    events = [{"type": "log", "data": "x" * (3 << 20)}, {"type": "done"}]
    found = [event for payload in payloads(events) for event in wire.decode(payload)]
    assert "".join(event.get("data", "") for event in found) == "x" * (3 << 20)
    assert found[-1] == {"type": "done"}
    assert payloads([]) == []
    [payload] = payloads([{"type": "warning", "source": "\udcff" * (1 << 20)}])
    assert len(payload) <= wire.PAYLOAD_LIMIT_BYTES


def test_ends_fit_into_a_frame() -> None:
    small = {"ref": "r", "message": "no"}
    assert wire.decode(fitting(small)) == small
    big = "x" * (1 << 20)
    found = wire.decode(fitting({"message": big, "source": big, "lines": [[1, 2]]}))
    assert found["message"].startswith("xxx")
    assert found["lines"] == []
    warnings = [{"text": "t", "source": "y" * 50_000}] * 50
    found = wire.decode(fitting({"metadata": {"a": 1}, "warnings": warnings}))
    assert (found["metadata"], len(found["warnings"])) == ({"a": 1}, 50)
    assert wire.decode(fitting({"ref": "r", "metadata": {"a": big}}))["ref"] == "r"
