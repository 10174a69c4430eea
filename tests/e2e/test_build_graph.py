"""The graph of a build: what runs side by side, what is found again, what survives."""

from __future__ import annotations

import io
import json
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Pierd
from support.http import Api

pytestmark = pytest.mark.root


def context(dockerfile: str, files: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in {"Dockerfile": dockerfile, **(files or {})}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


class Build:
    """One finished ``POST /build``."""

    def __init__(self, answer: Any) -> None:
        assert answer.status == 200, answer
        messages = [json.loads(line) for line in answer.body.splitlines() if line.strip()]
        self.text = "".join(message.get("stream", "") for message in messages)
        self.error = next((message["error"] for message in messages if "error" in message), "")
        ids = [message["aux"]["ID"] for message in messages if "aux" in message]
        self.id = ids[-1] if ids else ""
        self.cached = self.text.count("---> Using cache")


def build(api: Api, dockerfile: str, files: dict[str, str] | None = None, query: str = "") -> Build:
    return Build(api.post(f"/build?{query}", context(dockerfile, files), timeout_s=120))


def history(api: Api) -> dict[str, Any]:
    """The newest build's record."""
    record: dict[str, Any] = api.get("/pierhead/build/history/^0").json
    return record


def test_stages_run_side_by_side(api: Api, busybox: str) -> None:
    names = "abc"
    text = "".join(f"FROM busybox AS {name}\nRUN sleep 1; echo {name} >/{name}\n" for name in names)
    text += "FROM busybox\n" + "".join(f"COPY --from={name} /{name} /\n" for name in names)
    started = time.monotonic()
    done = build(api, text + "RUN cat /a /b /c\n", query="nocache=1")
    assert "a\nb\nc\n" in done.text
    steps = [step for step in history(api)["steps"] if "sleep" in step["name"]]
    assert len(steps) == 3
    # Not the wall clock, which a loaded machine stretches: they overlap.
    assert max(step["started_ns"] for step in steps) < min(step["finished_ns"] for step in steps)
    assert time.monotonic() - started < 60


def test_what_is_not_needed_is_not_built(api: Api, busybox: str) -> None:
    done = build(api, "FROM busybox AS no\nRUN false\nFROM busybox\nRUN echo yes\n")
    assert not done.error
    assert "false" not in done.text


def test_files_count_by_their_content(api: Api, busybox: str) -> None:
    text = "FROM busybox\nCOPY a /\nRUN cat /a\n"
    first = build(api, text, {"a": "one", "b": "1"})
    again = build(api, text, {"a": "one", "b": "2"})
    assert (again.id, again.cached) == (first.id, 2)
    other = build(api, text, {"a": "two"})
    assert (other.cached, "two" in other.text) == (0, True)
    misses = {step["name"]: step["miss"] for step in history(api)["steps"] if step.get("miss")}
    assert "its files changed" in misses["[2/3] COPY a /"]
    assert "a step before it changed" in misses["[3/3] RUN cat /a"]


def test_stages_meet_by_content(api: Api, busybox: str) -> None:
    """A stage that was done again to the same end doesn't make others be done again."""
    text = (
        "FROM busybox AS s\nRUN echo {0} >/made; touch /same\nFROM busybox\nCOPY --from=s /same /\n"
    )
    first = build(api, text.format(1))
    second = build(api, text.format(2))
    assert first.id == second.id
    assert second.cached == 1


def test_the_same_build_twice_at_once_is_done_once(api: Api, busybox: str) -> None:
    text = (
        f"FROM busybox\nRUN echo {time.time_ns()}; sleep 1; cat /proc/sys/kernel/random/uuid >/u\n"
    )
    done: list[Build] = []
    threads = [threading.Thread(target=lambda: done.append(build(api, text))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(done) == 2
    assert done[0].id == done[1].id


def test_stages_on_stages_keep_their_history(api: Api, busybox: str) -> None:
    text = "FROM busybox AS a\nCOPY f /f\nFROM a\nENV X=1\n"
    done = build(api, text, {"f": "1"})
    texts = [entry["CreatedBy"] for entry in api.get(f"/images/{done.id}/history").json]
    assert texts[0] == "/bin/sh -c #(nop)  ENV X=1"
    assert texts[1].startswith("/bin/sh -c #(nop) COPY file:")
    parent = api.get(f"/images/{done.id}/json").json["Parent"]
    assert api.get(f"/images/{parent}/history").json[0]["CreatedBy"] == texts[1]


def test_thousands_of_steps_do_not_make_thousands_of_images(api: Api, busybox: str) -> None:
    before = len(api.get("/images/json?all=1").json)
    text = "FROM busybox\n" + "".join(
        f"LABEL l{number}={time.time_ns()}\n" for number in range(200)
    )
    first, again = build(api, text), build(api, text)
    assert (again.id, again.cached) == (first.id, 200)
    assert len(api.get("/images/json?all=1").json) < before + 150
    assert len(api.get(f"/images/{first.id}/history").json) > 200
    assert api.get(f"/images/{first.id}/json").json["Config"]["Labels"]["l199"]


def test_failed_steps_leave_the_others_in_the_cache(api: Api, busybox: str) -> None:
    text = f"FROM busybox\nRUN echo {time.time_ns()} >/x\n"
    failed = build(api, text + "RUN exit 7\n")
    assert failed.error == "The command '/bin/sh -c exit 7' returned a non-zero code: 7"
    assert history(api)["status"] == "error"
    assert build(api, text + "RUN true\n").cached == 1


def test_a_client_that_leaves_stops_the_build(api: Api, busybox: str) -> None:
    stamp = str(time.time_ns())
    text = f"FROM busybox\nRUN echo {stamp} >/x\nRUN echo begin; sleep 1000\n"
    body = context(text)
    with api.connect(60) as sock:
        sock.sendall(
            b"POST /build HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        seen = b""
        while b'"begin' not in seen:
            chunk = sock.recv(4096)
            assert chunk, seen
            seen += chunk
    deadline = time.monotonic() + 30
    while (record := history(api))["status"] == "running":
        assert time.monotonic() < deadline, record
        time.sleep(0.02)
    assert record["status"] == "canceled"
    assert build(api, f"FROM busybox\nRUN echo {stamp} >/x\n").cached == 1


def test_who_shares_a_step_keeps_it_when_the_other_leaves(api: Api, busybox: str) -> None:
    stamp = str(time.time_ns())
    text = f"FROM busybox\nCOPY a /{stamp}\nRUN --mount=target=/m echo begin; sleep 2; cat /m/a\n"
    body = context(text, {"a": "shared"})
    done: list[Build] = []
    second = threading.Thread(target=lambda: done.append(build(api, text, {"a": "shared"})))
    with api.connect(60) as sock:
        sock.sendall(
            b"POST /build HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        seen = b""
        while b'"begin' not in seen:
            chunk = sock.recv(4096)
            assert chunk, seen
            seen += chunk
        first, deadline = history(api)["ref"], time.monotonic() + 30
        second.start()
        while history(api)["ref"] == first or len(history(api)["steps"]) < 4:  # at the RUN, too
            assert time.monotonic() < deadline
            time.sleep(0.01)
    second.join(60)
    assert done and not done[0].error
    assert "begin\nshared" in done[0].text


def test_why_a_miss_was_a_miss(api: Api, busybox: str) -> None:
    text = f"FROM busybox\nARG A\nRUN echo {time.time_ns()} $A\n"
    build(api, text, query="buildargs=%7B%22A%22:%221%22%7D")
    build(api, text, query="buildargs=%7B%22A%22:%222%22%7D")
    assert history(api)["steps"][-2]["miss"] == "variable A changed"
    build(api, text, query="buildargs=%7B%22A%22:%222%22%7D&nocache=1")
    assert history(api)["steps"][-2]["miss"] == "--no-cache"


def test_logs_of_steps_are_kept(api: Api, busybox: str) -> None:
    build(api, f"FROM busybox\nRUN echo hello; echo {time.time_ns()}\n")
    ref = history(api)["ref"]
    assert "hello" in api.get(f"/pierhead/build/history/{ref}/logs").body.decode()


@pytest.fixture
def own(tmp_path: Path, busybox: str, api: Api) -> Iterator[Pierd]:
    """A daemon of its own, with busybox."""
    daemon = Pierd("graph")
    daemon.start()
    try:
        archive = api.get("/images/busybox/get", timeout_s=60).body
        assert daemon.api.post("/images/load", archive, timeout_s=60).status == 200
        yield daemon
    finally:
        daemon.destroy()


def test_the_cache_outlives_a_kill_and_is_pruned(own: Pierd) -> None:
    text = "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=3\nCMD x\n"
    first = build(own.api, text, query="t=kept")
    own.kill9()
    own.start()
    again = build(own.api, text, query="t=kept")
    assert (again.id, again.cached) == (first.id, 2)
    own.api.delete("/images/kept")
    own.kill9()
    own.start()
    third = build(own.api, text, query="t=kept")
    assert third.cached == 2
    own.api.delete("/images/kept")
    pruned = own.api.post("/build/prune?all=1").json
    assert pruned["SpaceReclaimed"] >= 3 << 20
    assert build(own.api, text).cached == 0


def test_the_same_input_gives_the_same_image_elsewhere(own: Pierd, api: Api) -> None:
    text = (
        "FROM busybox\nCOPY a /x/\nWORKDIR /w/deep\n"
        "RUN mkdir /made && echo hi >/made/file && ln -s file /made/link\nENV A=1\n"
    )
    query = "buildargs=%7B%22SOURCE_DATE_EPOCH%22:%221000%22%7D&nocache=1"
    here, there = (build(each, text, {"a": "1"}, query) for each in (api, own.api))
    assert here.id == there.id
