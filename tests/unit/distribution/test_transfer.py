"""Blobs down and up, through everything that lines and registries do to them."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pierhead.distribution.complaints import RegistryError
from pierhead.distribution.failures import TransportError
from pierhead.distribution.http import Limits
from pierhead.distribution.registry import Registry
from pierhead.distribution.transfer import Attempts, file_source, wait
from pierhead.errors import InvalidParameter, PierError
from pierhead.oci.digest import Digest, sha256
from pierhead.oci.manifest import Descriptor
from support import lying
from support.certificates import Authority
from support.lying import LyingRegistry
from support.registries import cutting, settings

REPO = "some/repo"
DATA = random.Random(7).randbytes(3_000_000)
DIGEST = sha256(DATA)
LAYER = Descriptor(digest=DIGEST, size=len(DATA))
FAST = Limits(stall_s=10, small_s=10, pauses_s=(0.01, 0.02))
BLOB = f"/blobs/{DIGEST}"


@pytest.fixture
def liar() -> Iterator[LyingRegistry]:
    with LyingRegistry() as registry:
        registry.add_blob(DATA)
        yield registry


class Sink:
    """Collects what a download writes."""

    def __init__(self, held: bytes = b"") -> None:
        self.data = bytearray(held)
        self.progress: list[int] = []
        self.waits: list[int] = []

    async def write(self, chunk: bytes) -> None:
        self.data += chunk


async def download(
    host: str,
    sink: Sink,
    *,
    layer: Descriptor = LAYER,
    limits: Limits = FAST,
    attempts: int = 5,
    mirrors: list[str] | None = None,
) -> None:
    known = settings(mirrors_for={host: mirrors or []})
    async with Registry(host, known, certs_dirs=(), limits=limits, attempts=attempts) as registry:
        await registry.download(
            REPO,
            layer,
            sink.write,
            offset=len(sink.data),
            on_progress=sink.progress.append,
            on_wait=sink.waits.append,
        )


async def test_a_whole_blob(liar: LyingRegistry) -> None:
    sink = Sink()
    await download(liar.host, sink)
    assert bytes(sink.data) == DATA
    assert sink.progress == sorted(sink.progress)
    assert sink.progress[-1] == len(DATA)
    assert "range" not in liar.asked("GET", BLOB)[0].headers


async def test_from_where_it_broke(liar: LyingRegistry) -> None:
    sink = Sink(DATA[:1000])
    await download(liar.host, sink)
    assert bytes(sink.data) == DATA
    (request,) = liar.asked("GET", BLOB)
    assert request.headers["range"] == "bytes=1000-"
    assert sink.progress[0] > 1000


async def test_nothing_left(liar: LyingRegistry) -> None:
    """All of it is here already: only the check was missing."""
    sink = Sink(DATA)
    await download(liar.host, sink)
    assert not liar.requests
    with pytest.raises(InvalidParameter):
        await download(liar.host, Sink(DATA + b"x"))


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("ranges", [True, False])
async def test_broken_lines(liar: LyingRegistry, ranges: bool, reset: bool) -> None:
    liar.ranges = ranges
    for count in (1_000_000, 400_000, 1, 0):
        liar.on("GET", BLOB, lying.cut_after(count, reset=reset), times=1)
    sink = Sink()
    await download(liar.host, sink)
    assert bytes(sink.data) == DATA
    assert len(liar.asked("GET", BLOB)) == 5


@pytest.mark.parametrize("seed", range(5))
async def test_lines_that_break_at_random_bytes(liar: LyingRegistry, seed: int) -> None:
    with cutting(liar.host, seed=seed, most=1_000_000, budget=10) as line:
        sink = Sink()
        await download(line.host, sink, attempts=20)
        assert bytes(sink.data) == DATA
        assert line.cuts >= 3
        assert line.passed_bytes < 2 * len(DATA)


async def test_headway_makes_failures_forgotten(liar: LyingRegistry) -> None:
    """Five tries are for one place, not for a whole download over a bad line."""
    liar.on("GET", BLOB, lying.cut_after(300_000))
    sink = Sink()
    await download(liar.host, sink, attempts=3)
    assert bytes(sink.data) == DATA
    assert len(liar.asked("GET", BLOB)) >= 10


async def test_no_headway_ends(liar: LyingRegistry) -> None:
    liar.on("GET", BLOB, lying.cut_after(10))
    sink = Sink()
    with pytest.raises(TransportError, match="unexpected EOF"):
        await download(liar.host, sink)
    assert len(liar.asked("GET", BLOB)) == 5
    assert bytes(sink.data) == DATA[:50]


async def test_a_stall_is_a_break(liar: LyingRegistry) -> None:
    until = threading.Event()
    liar.on("GET", BLOB, lying.stall(until, DATA[:1000], len(DATA)), times=1)
    sink = Sink()
    try:
        await download(liar.host, sink, limits=Limits(stall_s=0.3, pauses_s=(0.01,)))
    finally:
        until.set()
    assert bytes(sink.data) == DATA
    assert liar.asked("GET", BLOB)[1].headers["range"] == "bytes=1000-"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_registry_in_trouble(liar: LyingRegistry, status: int) -> None:
    liar.on("GET", BLOB, lying.status(status), times=2)
    sink = Sink()
    await download(liar.host, sink)
    assert bytes(sink.data) == DATA
    assert len(sink.waits) == 2


@pytest.mark.parametrize("when", ["seconds", "date"])
async def test_retry_after(liar: LyingRegistry, when: str) -> None:
    import email.utils
    import time

    asked = "1" if when == "seconds" else email.utils.formatdate(time.time() + 2, usegmt=True)
    liar.on("GET", BLOB, lying.status(503, b"", Retry_After=asked), times=1)
    sink = Sink()
    before = time.monotonic()
    await download(liar.host, sink)
    assert time.monotonic() - before > 0.9
    assert bytes(sink.data) == DATA
    assert sink.waits[0] in (1, 2)


async def test_asked_to_wait_for_hours(liar: LyingRegistry) -> None:
    body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your limit."}]}'
    liar.on(
        "GET", BLOB, lying.status(429, body, Retry_After="21600", Content_Type="application/json")
    )
    with pytest.raises(RegistryError, match="toomanyrequests: You have reached your limit"):
        await download(liar.host, Sink())
    assert len(liar.asked("GET", BLOB)) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_refusals_are_final(liar: LyingRegistry, status: int) -> None:
    liar.on("GET", BLOB, lying.status(status))
    with pytest.raises(RegistryError):
        await download(liar.host, Sink())
    assert len(liar.asked("GET", BLOB)) == 1


async def test_a_token_that_expires_half_way(liar: LyingRegistry) -> None:
    """The line breaks, and when we come back the registry knows our token no more."""
    guard, used = lying.tokens_for_one_use(liar)
    for count in (500_000, 1_000_000):
        cut = lying.cut_after(count)
        liar.on("GET", BLOB, lambda exchange, cut=cut: guard(exchange) or cut(exchange), times=2)
    sink = Sink()
    await download(liar.host, sink)
    assert bytes(sink.data) == DATA
    assert used == {"t1", "t2"}


@pytest.mark.parametrize("seed", range(2))
async def test_tls_lines_that_break(tmp_path: Path, seed: int) -> None:
    with LyingRegistry(tls=Authority(tmp_path).issue("server")) as liar:
        liar.add_blob(DATA)
        options = {"seed": seed, "least": 50_000, "most": 1_000_000, "budget": 8}
        with cutting(liar.host, **options) as line:
            sink = Sink()
            await download(line.host, sink, attempts=20)
            assert bytes(sink.data) == DATA
            assert line.cuts >= 3


# Lies


async def test_more_bytes_than_promised(liar: LyingRegistry) -> None:
    liar.on("GET", BLOB, lying.endless())
    sink = Sink()
    with pytest.raises(InvalidParameter, match="sends more bytes instead of 3000000"):
        await download(liar.host, sink)
    assert len(sink.data) <= len(DATA)
    assert len(liar.asked("GET", BLOB)) == 1


@pytest.mark.parametrize("size", [10, len(DATA) + 1])
async def test_another_length(liar: LyingRegistry, size: int) -> None:
    liar.on("GET", BLOB, lying.other_bytes(b"x" * size))
    sink = Sink()
    with pytest.raises(InvalidParameter, match=f"sends {size} bytes instead of 3000000"):
        await download(liar.host, sink)
    assert not sink.data


@pytest.mark.parametrize(
    "told",
    ["bytes 0-2999999/3000000", "bytes 5-2999999/3000000", "bytes", "", "bytes x-y/z", "bytes -"],
)
async def test_another_range_than_asked_for(liar: LyingRegistry, told: str) -> None:
    """Bytes from elsewhere must not be appended, whatever the digest would say later."""
    liar.on("GET", BLOB, lying.status(206, DATA, Content_Range=told))
    sink = Sink(DATA[:1000])
    with pytest.raises(TransportError, match="could not use Content-Range header"):
        await download(liar.host, sink)
    assert bytes(sink.data) == DATA[:1000]


async def test_redirect_loops(liar: LyingRegistry) -> None:
    liar.on("GET", BLOB, lying.redirect(f"/v2/{REPO}/blobs/{DIGEST}?again"))
    with pytest.raises(TransportError, match="stopped after 10 redirects"):
        await download(liar.host, Sink())


async def test_what_the_writer_raises_passes_through(liar: LyingRegistry) -> None:
    class Full(Exception):
        pass

    async def write(chunk: bytes) -> None:
        raise Full

    sink = Sink()
    sink.write = write  # type: ignore[method-assign]
    with pytest.raises(Full):
        await download(liar.host, sink)
    assert len(liar.asked("GET", BLOB)) == 1


async def test_a_slow_writer_slows_the_registry(liar: LyingRegistry) -> None:
    """Nothing is collected in memory while a worker decompresses."""
    data = bytes(40_000_000)
    layer = Descriptor(digest=Digest(liar.add_blob(data)), size=len(data))
    sent = 0

    def lie(exchange: lying.Exchange) -> None:
        nonlocal sent
        exchange.send_response(200)
        exchange.send_header("Content-Length", str(len(data)))
        exchange.end_headers()
        for start in range(0, len(data), 100_000):
            exchange.wfile.write(data[start : start + 100_000])
            sent = start

    liar.on("GET", str(layer.digest), lie)
    taken = 0
    blocked = asyncio.Event()

    async def write(chunk: bytes) -> None:
        nonlocal taken
        taken += len(chunk)
        blocked.set()
        await asyncio.sleep(3600)

    sink = Sink()
    sink.write = write  # type: ignore[method-assign]
    task = asyncio.get_running_loop().create_task(download(liar.host, sink, layer=layer))
    await blocked.wait()
    before = -1
    while before != sent:  # until the line is full
        before = sent
        await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sent < 20_000_000


async def test_foreign_layers(liar: LyingRegistry) -> None:
    """Not in the registry, but where the manifest says; without our proof."""
    del liar.blobs[DIGEST]
    with LyingRegistry() as elsewhere:
        elsewhere.on("GET", "/layer.tar", lying.other_bytes(DATA))
        foreign = Descriptor(
            digest=DIGEST,
            size=len(DATA),
            urls=["ftp://a.example/x", f"{elsewhere.url}/gone", f"{elsewhere.url}/layer.tar"],
        )
        sink = Sink()
        await download(liar.host, sink, layer=foreign)
        assert bytes(sink.data) == DATA


# Mirrors


async def test_a_mirror_that_lacks_the_blob(liar: LyingRegistry) -> None:
    with LyingRegistry() as mirror:
        sink = Sink()
        await download(liar.host, sink, mirrors=[mirror.url])
        assert bytes(sink.data) == DATA
        assert len(mirror.asked("GET", BLOB)) == 1


async def test_a_mirror_that_breaks_off_for_good(liar: LyingRegistry) -> None:
    with LyingRegistry() as mirror:
        mirror.add_blob(DATA)
        mirror.on("GET", BLOB, lying.status(404))
        mirror.on("GET", BLOB, lying.cut_after(1_000_000), times=1)
        sink = Sink()
        await download(liar.host, sink, mirrors=[mirror.url])
        assert bytes(sink.data) == DATA
        assert liar.asked("GET", BLOB)[0].headers["range"] == "bytes=1000000-"


async def test_a_mirror_in_trouble_or_away(liar: LyingRegistry) -> None:
    with LyingRegistry() as mirror:
        mirror.on("GET", BLOB, lying.status(503))
        sink = Sink()
        await download(liar.host, sink, mirrors=["http://127.0.0.1:1", mirror.url])
        assert bytes(sink.data) == DATA
        assert not sink.waits


# Uploads


async def once(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 200_000):
        yield data[start : start + 200_000]


async def upload(host: str, data: bytes, *, known: bool = True, attempts: int = 5) -> list[int]:
    """How far it was, as told on the way."""
    progress: list[int] = []
    async with Registry(
        host, settings(), certs_dirs=(), limits=FAST, push=True, attempts=attempts
    ) as registry:
        await registry.upload(
            REPO,
            sha256(data) if known else lambda: sha256(data),
            len(data) if known else None,
            lambda offset: once(data[offset:]),
            on_progress=progress.append,
        )
    return progress


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 3_000_000])
async def test_uploading(liar: LyingRegistry, size: int, known: bool) -> None:
    liar.blobs.clear()
    data = DATA[:size]
    progress = await upload(liar.host, data, known=known)
    assert liar.blobs == {sha256(data): data}
    assert not size or progress[-1] == size
    assert not liar.uploads
    assert bool(liar.asked("PATCH", "/uploads/")) == (size > 1 << 20 or not known)


@pytest.mark.parametrize("known", [True, False])
async def test_going_on_where_the_registry_is(liar: LyingRegistry, known: bool) -> None:
    """The line broke in the middle; the registry kept what it had."""
    liar.blobs.clear()

    def lie(exchange: lying.Exchange) -> None:
        (held,) = liar.uploads.values()
        held.data += exchange.rfile.read(1_000_000)[:1_000_000] if known else DATA[:1_000_000]
        exchange.cut(reset=True)

    liar.on("PATCH", "/uploads/", lie, times=1)
    await upload(liar.host, DATA, known=known)
    assert liar.blobs == {DIGEST: DATA}
    again = liar.asked("PATCH", "/uploads/")[1]
    assert len(again.body) == len(DATA) - 1_000_000
    if known:
        assert again.headers["content-range"] == "1000000-2999999"


async def test_an_upload_that_the_registry_forgot(liar: LyingRegistry) -> None:
    liar.blobs.clear()

    def lie(exchange: lying.Exchange) -> bool:
        exchange.read_body()
        liar.uploads.clear()
        return False

    liar.on("PATCH", "/uploads/", lie, times=2)
    await upload(liar.host, DATA)
    assert liar.blobs == {DIGEST: DATA}
    assert len(liar.asked("POST", "/uploads/")) == 3


@pytest.mark.parametrize("seed", range(3))
async def test_uploads_over_lines_that_break(liar: LyingRegistry, seed: int) -> None:
    liar.blobs.clear()
    options = {"seed": seed, "least": 100_000, "most": 2_000_000, "budget": 3, "both_ways": True}
    with cutting(liar.host, **options) as line:
        await upload(line.host, DATA, attempts=10)
    assert liar.blobs == {DIGEST: DATA}


async def test_an_upload_that_never_works(liar: LyingRegistry) -> None:
    liar.on("PATCH", "/uploads/", lying.status(500))
    with pytest.raises(RegistryError, match="500"):
        await upload(liar.host, DATA, attempts=3)
    assert len(liar.asked("PATCH", "/uploads/")) == 3


async def test_a_registry_that_refuses_the_content(liar: LyingRegistry) -> None:
    liar.on("PUT", "/uploads/", lambda exchange: exchange.error(400, "DIGEST_INVALID", "no"))
    with pytest.raises(RegistryError, match="digest invalid: no"):
        await upload(liar.host, DATA)
    assert len(liar.asked("PUT", "/uploads/")) == 1


async def test_a_commit_that_broke_is_repeated_alone(liar: LyingRegistry) -> None:
    liar.blobs.clear()
    liar.on("PUT", "/uploads/", lying.status(503), times=1)
    await upload(liar.host, DATA)
    assert liar.blobs == {DIGEST: DATA}
    assert len(liar.asked("PATCH", "/uploads/")) == 1


async def test_a_registry_that_says_nowhere(liar: LyingRegistry) -> None:
    liar.on("POST", "/uploads/", lying.status(202))
    with pytest.raises(TransportError, match="missing Location header"):
        await upload(liar.host, DATA)


async def test_an_upload_sent_elsewhere_shows_no_proof(liar: LyingRegistry) -> None:
    from pierhead.distribution.credentials import Credentials

    with LyingRegistry() as store:
        liar.on("POST", "/uploads/", lying.status(202, Location=f"{store.url}/put?sig=x%2F"))
        liar.on("*", "/v2/", lying.basic("anna", "secret"), times=1)
        store.on("PUT", "/put", lying.status(201))
        async with Registry(
            liar.host,
            settings(),
            credentials=Credentials("anna", "secret"),
            certs_dirs=(),
            limits=FAST,
            push=True,
        ) as registry:
            await registry.upload(REPO, sha256(b"x"), 1, lambda offset: once(b"x"))
        assert [("authorization" in request.headers) for request in store.requests] == [False]
        assert store.requests[0].path == f"/put?sig=x%2F&digest={sha256(b'x').replace(':', '%3A')}"


async def test_what_the_source_raises_passes_through(liar: LyingRegistry) -> None:
    async def broken(offset: int) -> AsyncIterator[bytes]:
        yield DATA[:1000]
        raise InvalidParameter("the layer is damaged")

    async with Registry(liar.host, settings(), certs_dirs=(), limits=FAST, push=True) as registry:
        with pytest.raises(InvalidParameter, match="the layer is damaged"):
            await registry.upload(REPO, DIGEST, len(DATA), broken)


# Parts


async def test_files_as_sources(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(DATA)

    async def read(source: AsyncIterator[bytes]) -> bytes:
        return b"".join([chunk async for chunk in source])

    assert await read(file_source(path)(0)) == DATA
    assert await read(file_source(path)(2_999_999)) == DATA[-1:]
    assert await read(file_source(path, 10, 2_000_000)(5)) == DATA[15:2_000_010]
    assert await read(file_source(path, 10, 5)(5)) == b""


async def test_attempts() -> None:
    attempts = Attempts(3, None, (0.0,), start=5_000_000)
    error = TransportError("x", reached=True, passing=True)
    await attempts.failed(error, 5_000_000)
    await attempts.failed(error, 5_000_000)
    with pytest.raises(TransportError):
        await attempts.failed(error, 5_000_000)
    final: PierError = TransportError("x", reached=True, passing=False)
    with pytest.raises(TransportError):
        await Attempts(3, None, (0.0,)).failed(final, 0)
    await Attempts(3, None, (0.0,)).failed(final, 0, again=True)
    with pytest.raises(InvalidParameter):
        await Attempts(3, None, (0.0,)).failed(InvalidParameter("x"), 0)


async def test_waiting_tells_the_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    told: list[int] = []
    await wait(3.0, told.append)
    assert told == [3, 2, 1]
    assert sum(slept) == 3.0
