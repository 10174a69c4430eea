"""What a step is asked: defaults that other rooms rely on."""

from __future__ import annotations

from pierhead.build.execute.model import MountKind, RunStep, Sharing, StepFailed, StepMount
from pierhead.build.model import NetworkMode
from pierhead.errors import InvalidParameter


def test_a_step_is_plain_unless_asked_otherwise() -> None:
    step = RunStep(args=["true"])
    assert not step.insecure and not step.keep_failed
    assert step.network is NetworkMode.DEFAULT
    mount = StepMount(kind=MountKind.CACHE, target="/c")
    assert mount.sharing is Sharing.SHARED and not mount.read_write and not mount.required


def test_a_failure_is_the_client_s_and_tells_code_and_id() -> None:
    error = StepFailed("process x failed", 3)
    assert isinstance(error, InvalidParameter)
    assert (error.exit_code, error.debug_id, str(error)) == (3, "", "process x failed")
