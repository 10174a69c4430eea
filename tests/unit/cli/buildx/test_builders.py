from __future__ import annotations

import json

import pytest

from pierhead.client.errors import ConnectFailed
from support.fake_cli import run

ANSWERS = {"GET /version": {"Os": "linux", "Arch": "amd64", "Version": "1.2"}}


def test_the_list() -> None:
    lines = run("buildx ls", ANSWERS).out.splitlines()
    assert lines[1].split() == ["default*", "docker"]
    assert lines[2].split() == ["\\_", "default", "\\_", "default", "running", "1.2", "linux/amd64"]
    found = json.loads(run("buildx ls --format json", ANSWERS).out)
    assert found["Nodes"][0]["Platforms"] == ["linux/amd64"]
    assert "error" in run("buildx ls", {"GET /version": ConnectFailed("no")}).out


def test_the_one_builder() -> None:
    text = run("buildx inspect", ANSWERS).out
    assert text.startswith("Name:             default\nDriver:           docker\n\nNodes:\n")
    assert run("buildx use default").code == run("buildx stop").code == 0
    assert run("buildx version").out.startswith("pierhead ")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("buildx inspect other", 'no builder "other" found'),
        ("buildx use other", 'no builder "other" found'),
        ("buildx stop other", 'no builder "other" found'),
        ("buildx rm other", 'no builder "other" found'),
        ("buildx rm", "cannot be removed"),
        ("buildx create --name x", "Pierhead has one builder"),
    ],
)
def test_refusals(line: str, told: str) -> None:
    result = run(line, ANSWERS)
    assert result.code == 1 and told in result.err
