"""``--label`` of the classic builder."""

from __future__ import annotations

from pierhead.build.dockerfile.model import Range
from pierhead.build.plan.config import ConfigState
from pierhead.build.plan.labels import steps
from pierhead.oci.image_config import ImageConfig, RunConfig


def test_each_is_a_step_by_name() -> None:
    state = ConfigState(ImageConfig(config=RunConfig(labels={"z": "0"})), classic=True)
    found = steps({"b": "2", "a": "x y"}, state, Range(1, 1))
    assert [step.instruction for step in found] == ["LABEL a=x y", "LABEL b=2"]
    assert found[0].created_by == "/bin/sh -c #(nop)  LABEL a=x y"
    assert found[0].config.labels == {"z": "0", "a": "x y"}
    assert found[1].config.labels == {"z": "0", "a": "x y", "b": "2"}
