"""Events as status responses."""

from __future__ import annotations

from pierhead.build.buildkit.status import Translator
from pierhead.build.model import StepDone, StepLog, StepProgress, StepStarted, Warned
from pierhead.oci.digest import Digest

ONE, TWO = Digest("sha256:" + "1" * 64), Digest("sha256:" + "2" * 64)


def test_a_vertex_is_told_whole_each_time() -> None:
    translator = Translator()
    first = translator.response(
        [StepStarted(time_ns=5, step=TWO, name="[2/2] RUN x", inputs=[ONE])]
    )
    (vertex,) = first.vertexes
    assert (vertex.digest, vertex.name, list(vertex.inputs)) == (TWO, "[2/2] RUN x", [ONE])
    assert vertex.started.nanos == 5
    assert not vertex.HasField("completed")
    last = translator.response([StepDone(time_ns=9, step=TWO, cached=True)])
    (vertex,) = last.vertexes
    assert vertex.cached
    assert (vertex.name, vertex.started.nanos, vertex.completed.nanos) == ("[2/2] RUN x", 5, 9)


def test_errors_and_cancelling() -> None:
    translator = Translator()
    translator.response([StepStarted(time_ns=1, step=ONE, name="a")])
    failed = translator.response([StepDone(time_ns=2, step=ONE, error="no")])
    assert failed.vertexes[0].error == "no"
    stopped = translator.response([StepDone(time_ns=2, step=ONE, canceled=True)])
    assert stopped.vertexes[0].error == "context canceled"
    assert not translator.response([StepDone(time_ns=2, step=TWO)]).vertexes


def test_logs_and_transfers() -> None:
    response = Translator().response(
        [
            StepLog(time_ns=3, step=ONE, stream=2, data=b"\xff\n"),
            StepProgress(time_ns=4, step=ONE, id="transferring context:", current=5, total=9),
            StepProgress(
                time_ns=4, step=ONE, id="sha256:x", action="extract", current=5, total=9,
                started_ns=1, completed_ns=4,
            ),
            StepProgress(time_ns=4, step=ONE, id="", action="running"),
        ]
    )  # fmt: skip
    assert (response.logs[0].msg, response.logs[0].stream) == (b"\xff\n", 2)
    context, layer = response.statuses
    assert (context.current, context.total) == (5, 0)
    assert (layer.name, layer.current, layer.total) == ("extract", 5, 9)
    assert layer.completed.nanos == 4
    assert not context.HasField("started")


def test_warnings_hang_on_the_definition() -> None:
    translator = Translator()
    response = translator.response(
        [
            StepStarted(time_ns=1, step=ONE, name="[internal] load build definition from D"),
            StepStarted(time_ns=1, step=TWO, name="[1/1] FROM x"),
            Warned(
                time_ns=2, rule="Rule", text="text", description="why", url="u", file="D",
                lines=[(2, 3)], source=b"FROM x\n",
            ),
            Warned(time_ns=2, rule="", text="plain"),
        ]
    )  # fmt: skip
    full, plain = response.warnings
    assert full.vertex == plain.vertex == ONE
    assert full.short == b"Rule: text (line 2)"
    assert list(full.detail) == [b"why"]
    assert (full.ranges[0].start.line, full.ranges[0].end.line) == (2, 3)
    assert (full.info.filename, full.info.data) == ("D", b"FROM x\n")
    assert plain.short == b"plain"
    assert not plain.ranges
