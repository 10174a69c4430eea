"""Numbers of the classic builder's steps."""

from __future__ import annotations

from pierhead.build.dockerfile import parse
from pierhead.build.dockerfile.model import Range
from pierhead.build.plan.model import RunOp, Step
from pierhead.build.solve.classic import Numbers, command_of
from pierhead.oci.image_config import RunConfig


def test_steps_are_numbered_over_all_needed_stages() -> None:
    dockerfile = parse(
        b"ARG A\nFROM a AS x\nRUN 1\nRUN 2\nFROM b AS unneeded\nRUN 3\nFROM c\nRUN 4\n"
    )
    numbers = Numbers(dockerfile, [2, 0], labels=1)
    assert numbers.total == 7
    assert (numbers.base(0), numbers.base(2)) == (2, 5)
    assert [numbers.step(0, position, 0) for position in range(2)] == [3, 4]
    # Two ONBUILD steps come within FROM; then the stage's own, then the label.
    assert [numbers.step(2, position, 2) for position in range(4)] == [5, 5, 6, 7]


def step(op: RunOp | None, **config: object) -> Step:
    return Step(
        op=op,
        name="",
        instruction="",
        location=Range(1, 1),
        created_by="",
        empty_layer=False,
        config=RunConfig(**config),  # type: ignore[arg-type]
    )


def test_the_containers_command() -> None:
    run = RunOp(args=["/bin/sh", "-c", "x"], env=[])
    assert command_of(step(run), "/bin/sh -c x") == ["/bin/sh", "-c", "x"]
    assert command_of(step(None), "/bin/sh -c #(nop)  CMD x") == [
        "/bin/sh",
        "-c",
        "#(nop) ",
        "CMD x",
    ]
