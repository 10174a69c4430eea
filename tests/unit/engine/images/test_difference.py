from __future__ import annotations

from typing import Any

from pierhead.engine.images.difference import compare_configs, facts


def test_configs() -> None:
    a = {
        "Env": ["A=1", "B=2"], "Cmd": ["sh"], "Labels": {"x": "1"}, "User": "root",
        "ExposedPorts": {"80/tcp": {}}, "Healthcheck": {"Test": ["NONE"]},
    }  # fmt: skip
    b = {"Env": ["B=2", "A=3"], "Cmd": ["sh"], "Labels": {"x": "1", "y": "2"}, "WorkingDir": "/w"}
    assert compare_configs(a, b) == [
        {"Field": "Env.A", "A": "1", "B": "3"},
        {"Field": "ExposedPorts.80/tcp", "A": True, "B": None},
        {"Field": "Healthcheck.Test", "A": ["NONE"], "B": None},
        {"Field": "Labels.y", "A": None, "B": "2"},
        {"Field": "User", "A": "root", "B": None},
        {"Field": "WorkingDir", "A": None, "B": "/w"},
    ]
    assert compare_configs(a, a) == []


def test_facts(world: Any) -> None:
    images = world.images.index.images
    a = images[world.image("a:1", layers=(b"1", b"22"), labels={"v": "1"})]
    b = images[world.image("b:1", layers=(b"1", b"333", b"4"), architecture="arm64")]
    found = facts(a, b, world.snapshots)
    assert found["A"]["RepoTags"] == ["a:1"] and found["A"]["Layers"] == 2
    assert found["Config"] == [
        {"Field": "Labels.v", "A": "1", "B": None},
        {"Field": "Platform", "A": "linux/amd64", "B": "linux/arm64"},
    ]
    layers = found["Layers"]
    assert (layers["Shared"], layers["SharedSize"]) == (1, 1)
    assert [layer["Size"] for layer in layers["A"]] == [2]
    assert [(layer["Size"], layer["CreatedBy"]) for layer in layers["B"]] == [
        (3, "step 1"),
        (1, "step 2"),
    ]
