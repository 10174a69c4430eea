from __future__ import annotations

import json

import pytest

from support.fake_cli import run

VERIFY = "POST /pierhead/images/verify"
WHOLE = {"Kind": "config", "Digest": "sha256:aa", "Image": "sha256:aa", "Status": "whole"}
DAMAGED = WHOLE | {"Kind": "layer", "Status": "damaged", "Fault": "bad", "Complaint": "gone"}
REPAIRED = WHOLE | {"Kind": "blob", "Status": "repaired", "Fault": "bad", "Source": "r/x"}


def end(damaged: int, repaired: int) -> dict[str, int]:
    return {"Checked": 3, "Damaged": damaged, "Repaired": repaired}


def test_whole() -> None:
    result = run("image verify", {VERIFY: [WHOLE, end(0, 0)]})
    assert (result.code, result.request.query) == (0, {})
    assert result.out == "whole     config    sha256:aa\n3 checked, 0 damaged\n"


def test_damaged_and_repaired() -> None:
    result = run("image verify --repair a b", {VERIFY: [DAMAGED, REPAIRED, end(1, 1)]})
    assert result.code == 1
    assert result.request.query == {"name": ["a", "b"], "repair": True}
    assert result.out == (
        "damaged   layer     sha256:aa  bad  gone\n"
        "repaired  blob      sha256:aa  from r/x\n"
        "3 checked, 1 damaged, 1 repaired\n"
    )


def test_quiet_and_json() -> None:
    assert run("image verify -q", {VERIFY: [WHOLE, end(0, 0)]}).out == ""
    result = run("image verify --format json", {VERIFY: [WHOLE, end(0, 0)]})
    assert [json.loads(line) for line in result.out.splitlines()] == [WHOLE, end(0, 0)]


@pytest.mark.parametrize("words", ["--format xml"])
def test_a_format_that_is_none(words: str) -> None:
    assert run(f"image verify {words}", {}).code == 125
