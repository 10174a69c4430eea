"""Undecodable bytes in what becomes JSON."""

from __future__ import annotations

from pierhead.build.dockerfile.model import Env, Heredoc, Pair, Range, Run
from pierhead.build.plan import readable
from pierhead.build.plan.model import CopyOp

from .conftest import Make

BAD = b"\xff".decode("utf-8", "surrogateescape")


def test_bytes_become_the_replacement_character() -> None:
    assert readable.text(f"a{BAD}é") == "a\ufffdé"
    item = Env(original=f"ENV A={BAD}", location=Range(1, 1), pairs=(Pair(key="A", value=BAD),))
    changed = readable.instruction(item)
    assert (changed.original, changed.pairs[0].value) == ("ENV A=\ufffd", "\ufffd")


def test_what_is_readable_stays_itself() -> None:
    item = Run(original="RUN é", location=Range(1, 1), heredocs=(Heredoc(name="E", content="é"),))
    assert readable.instruction(item) is item


def test_paths_keep_their_bytes(plan: Make) -> None:
    found = plan(f"FROM busybox\nENV A={BAD}\nCOPY a{BAD} /\n")
    assert found.stages[0].config.config.env == ["PATH=/bin", "A=\ufffd"]
    step = found.stages[0].steps[1]
    assert isinstance(step.op, CopyOp)
    assert step.op.parts[0].request.sources == (f"a{BAD}",)
    assert step.created_by == "COPY a\ufffd / # buildkit"
