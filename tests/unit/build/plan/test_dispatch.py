"""Single instructions; whole stages are in test_planner."""

from __future__ import annotations

import pytest

from pierhead.build.dockerfile import BuildError
from pierhead.build.execute.model import MountKind
from pierhead.build.model import NetworkMode
from pierhead.build.plan.model import FromContext, FromStage, RunOp, WorkdirOp

from .conftest import Make


def run_of(plan: Make, line: str, **request: object) -> RunOp:
    op = plan(f"FROM busybox AS a\nFROM busybox\nWORKDIR /w\n{line}\n", **request).stages[1]
    found = op.steps[-1].op
    assert isinstance(found, RunOp)
    return found


def test_mounts(plan: Make) -> None:
    op = run_of(
        plan,
        "RUN --mount=target=x --mount=type=bind,from=a,target=/y,rw "
        "--mount=type=cache,target=/c --mount=type=secret,id=s,env=TOKEN echo $TOKEN",
    )
    bind, stage, cache, secret = op.mounts
    assert (bind.target, bind.origin) == ("/w/x", FromContext())
    assert (stage.origin, stage.spec.read_only) == (FromStage(0), False)
    assert cache.origin is None
    assert (secret.spec.kind, secret.spec.env) == (MountKind.SECRET, "TOKEN")


def test_networks(plan: Make) -> None:
    assert run_of(plan, "RUN x", network=NetworkMode.NONE).network is NetworkMode.NONE
    assert run_of(plan, "RUN --network=host x").network is NetworkMode.HOST


def test_the_shell_is_used(plan: Make) -> None:
    found = plan('FROM busybox\nSHELL ["/bin/ash", "-ec"]\nRUN x\nCMD y\n').stages[0]
    op = found.steps[1].op
    assert isinstance(op, RunOp)
    assert op.args == ["/bin/ash", "-ec", "x"]
    assert found.config.config.cmd == ["/bin/ash", "-ec", "y"]
    json_form = run_of(plan, 'RUN ["a", "b c"]')
    assert json_form.args == ["a", "b c"]


def test_a_directory_belongs_to_the_user_but_in_the_classic(plan: Make) -> None:
    text = "FROM busybox\nUSER app\nWORKDIR /w\nWORKDIR /\n"
    new, old = plan(text).stages[0].steps, plan(text, classic=True).stages[0].steps
    assert isinstance(new[1].op, WorkdirOp) and isinstance(old[1].op, WorkdirOp)
    assert (new[1].op.user, old[1].op.user) == ("app", "")
    assert new[2].op is None


def test_errors_have_their_place(plan: Make) -> None:
    with pytest.raises(BuildError) as raised:
        plan("FROM busybox\n\nCOPY ${A:?set-A} /\n")
    assert raised.value.location is not None
    assert raised.value.location.first == 3
    assert "set-A" in raised.value.message


def test_signals_must_exist(plan: Make) -> None:
    assert plan("FROM busybox\nSTOPSIGNAL rtmin+3\n").stages[0].config.config.stop_signal
    for classic, word in ((True, "Invalid"), (False, "invalid")):
        with pytest.raises(BuildError, match=f"{word} signal: FOO"):
            plan("FROM busybox\nSTOPSIGNAL FOO\n", classic=classic)
