"""Records of builds and their logs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pierhead.build import history
from pierhead.build.history import History, HistoryRecord, HistoryStep, StepLogs, read_log
from pierhead.build.model import BuildOptions
from pierhead.errors import Conflict, InvalidParameter, NotFound
from pierhead.store.database import Database


@pytest.fixture
def past(tmp_path: Path) -> History:
    return History(Database.open(tmp_path / "state.db"), tmp_path / "logs")


def build(past: History, ref: str, error: BaseException | None = None) -> None:
    record = past.begin(ref, BuildOptions(tags=["t"], build_args={"A": "1"}))
    logs = past.open_log(ref)
    record.steps.append(HistoryStep(id="sha256:s", name="RUN x", lines=(1, 2), debug_id="d"))
    logs.write("sha256:s", 1, b"out ")
    logs.write("sha256:s", 2, b"err")
    logs.close()
    past.end(record, error, cancelled=False)


def test_a_build_is_kept(past: History) -> None:
    build(past, "abc")
    found = past.find("ab")
    assert (found.ref, found.status, found.name, found.debug_id) == ("abc", "completed", "t", "d")
    assert found.steps[0].lines == (1, 2)
    assert past.logs("abc") == [("sha256:s", b"out err")]
    assert past.find("^0").ref == "abc"


def test_how_builds_end(past: History) -> None:
    build(past, "bad", InvalidParameter("no"))
    build(past, "gone", asyncio.CancelledError())
    assert (past.find("bad").status, past.find("bad").error) == ("error", "no")
    assert past.find("gone").status == "canceled"


def test_one_that_runs_is_there_too(past: History) -> None:
    past.begin("now", BuildOptions())
    assert past.find("now").status == "running"
    assert [record.ref for record in past.all()] == ["now"]
    with pytest.raises(Conflict, match="under way"):
        past.remove("now")
    assert past.remove("") == 0


def test_who_is_not_found(past: History) -> None:
    build(past, "aa")
    build(past, "ab")
    for ref, kind in (("a", Conflict), ("x", NotFound), ("^9", NotFound)):
        with pytest.raises(kind):
            past.find(ref)


def test_the_oldest_go_but_pinned_ones(past: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT", 2)
    build(past, "r0")
    past.pin("r0", True)
    for number in range(1, 4):
        build(past, f"r{number}")
    assert [record.ref for record in past.all()] == ["r3", "r2", "r0"]
    assert past.remove("") == 2
    assert past.remove("r0") == 1
    assert past.all() == []


def test_logs_of_nobody_go_at_start(past: History, tmp_path: Path) -> None:
    build(past, "abc")
    (tmp_path / "logs" / "lost.log").write_bytes(b"")
    past.recover()
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["abc.log"]


def test_logs_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LOG_LIMIT_BYTES", 10)
    logs = StepLogs(tmp_path / "x.log")
    logs.write("a", 1, b"12345678")
    logs.write("a", 1, b"too much")
    logs.close()
    data = (tmp_path / "x.log").read_bytes()
    assert read_log(data) == [("a", b"12345678")]
    assert read_log(data[:-4]) == [("a", b"1234")]


def test_half_characters_are_readable_again() -> None:
    record = HistoryRecord(ref="r", error="a\udcb5 \\udc80 ü😀\\")
    assert HistoryRecord.of_document(record.document()).error == "a\ufffd \\udc80 ü😀\\"
