"""Kept builds as BuildKit's records."""

from __future__ import annotations

from pierhead.build.buildkit import history
from pierhead.build.history import HistoryRecord, HistoryStep

RECORD = HistoryRecord(
    ref="abc",
    status="error",
    error="process failed",
    started_ns=5,
    finished_ns=9,
    dockerfile_name="D",
    target="t",
    build_args={"A": "1"},
    labels={"l": "v"},
    platforms=["linux/amd64"],
    tags=["x:1"],
    digest="sha256:d",
    vcs={"revision": "r"},
    steps=[
        HistoryStep(id="one", name="[1/2] FROM", started_ns=5, finished_ns=6, cached=True),
        HistoryStep(id="two", name="[2/2] RUN", started_ns=6, finished_ns=9, error="no"),
    ],
)


def test_a_record() -> None:
    event = history.event_of(RECORD)
    assert event.type == history.COMPLETE
    record = event.record
    assert (record.Ref, record.error.message) == ("abc", "process failed")
    assert dict(record.FrontendAttrs) == {
        "build-arg:A": "1",
        "label:l": "v",
        "vcs:revision": "r",
        "filename": "D",
        "target": "t",
        "platform": "linux/amd64",
    }
    assert (record.numTotalSteps, record.numCompletedSteps, record.numCachedSteps) == (2, 2, 1)
    assert (record.CreatedAt.nanos, record.CompletedAt.nanos) == (5, 9)
    assert record.ExporterResponse["image.name"] == "x:1"


def test_running_and_cancelled() -> None:
    event = history.event_of(HistoryRecord(ref="r", started_ns=1))
    assert event.type == history.STARTED
    assert not event.record.HasField("CompletedAt")
    assert not event.record.HasField("error")
    record = history.record_of(HistoryRecord(ref="r", status="canceled", finished_ns=1))
    assert (record.error.code, record.error.message) == (1, "context canceled")
    assert history.deleted("r").record.Ref == "r"


def test_status_once_more() -> None:
    steps, log = history.status_of(RECORD, [("two", b"out")])
    assert [vertex.error for vertex in steps.vertexes] == ["", "no"]
    assert [vertex.cached for vertex in steps.vertexes] == [True, False]
    assert (log.logs[0].vertex, log.logs[0].msg) == ("two", b"out")


def test_which_are_meant() -> None:
    assert history.matches(RECORD, ref="", active_only=False)
    assert history.matches(RECORD, ref="ab", active_only=False)
    assert not history.matches(RECORD, ref="b", active_only=False)
    assert not history.matches(RECORD, ref="", active_only=True)
