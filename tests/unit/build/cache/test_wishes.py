from __future__ import annotations

import pytest

from pierhead.build.cache.wishes import used_mounts, wish
from pierhead.build.export.model import StepRecord
from pierhead.build.model import CacheOption
from pierhead.errors import InvalidParameter, NotImplementedYet


def option(type_: str, **attributes: str) -> CacheOption:
    given = {key.replace("_", "-"): value for key, value in attributes.items()}
    return CacheOption(type=type_, attributes=given)


@pytest.mark.parametrize(
    "given",
    [
        option("floppy"),
        option("registry"),
        option("local", dest="x", mode="some"),
        option("local", dest="x", spelling="wrng"),
        option("local", dest="x", compression_level="high"),
    ],
)
def test_what_can_t_be_is_refused(given: CacheOption) -> None:
    with pytest.raises(InvalidParameter):
        wish(given)


@pytest.mark.parametrize("given", [option("gha"), option("local", compression="estargz")])
def test_what_isn_t_done_is_said(given: CacheOption) -> None:
    with pytest.raises(NotImplementedYet):
        wish(given)


def test_mounts() -> None:
    assert wish(option("local")).mounts is False
    assert wish(option("local", mounts="true")).mounts is True
    assert wish(option("local", mounts="a;b")).mounts == frozenset({"a", "b"})


def test_the_mounts_that_instructions_name() -> None:
    def step(text: str) -> StepRecord:
        return StepRecord(
            id="", name="", instruction=text, started_ns=0, finished_ns=0, cached=False
        )

    steps = [step("RUN --mount=type=cache,target=/root/.cache pip"), step("COPY /apt /apt")]
    assert used_mounts(steps, ["/root/.cache", "/apt"]) == {"/root/.cache"}
