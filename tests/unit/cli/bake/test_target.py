from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.bake.target import (
    BakeProblem,
    Change,
    entries,
    merge,
    normalize,
    override,
    shown,
    without_repeats,
)


def change(*values: str, append: bool = False) -> Change:
    made = Change()
    made.values, made.value, made.append = list(values), values[-1], append
    return made


def changed(target: dict[str, Any], **changes: Change) -> dict[str, Any]:
    override(
        target, {key.replace("_", "-").replace("--", "."): one for key, one in changes.items()}
    )
    return target


def test_merging() -> None:
    target = {
        "args": {"A": "1"},
        "tags": ["x"],
        "annotations": ["a"],
        "secret": [{"id": "s", "src": "1"}],
        "output": [{"type": "image"}],
    }
    merge(
        target,
        {
            "args": {"B": "2", "C": None},
            "tags": ["y"],
            "annotations": ["b"],
            "secret": [{"id": "s", "src": "2"}],
            "output": [{"type": "tar"}],
            "description": "",
        },
    )
    assert target == {
        "args": {"A": "1", "B": "2"},
        "tags": ["y"],
        "annotations": ["a", "b"],
        "secret": [{"id": "s", "src": "2"}],
        "output": [{"type": "tar"}],
    }


def test_normal_forms() -> None:
    target: dict[str, Any] = {
        "tags": ["a", "a", ""],
        "network": "host",
        "contexts": {"x": "", "y": "z"},
        "cache-from": [{"type": "inline"}, {"type": "inline"}],
    }
    normalize(target)
    assert target == {
        "tags": ["a"],
        "network": "host",
        "contexts": {"y": "z"},
        "cache-from": [{"type": "inline"}],
        "entitlements": ["network.host"],
    }
    a, b, c = {"type": "a"}, {"type": "b"}, {"type": "c"}
    assert without_repeats("output", [a, b, a, c]) == [a, b, c]


def test_overrides() -> None:
    assert changed({}, tags=change("a", "b")) == {"tags": ["a", "b"]}
    assert changed({"tags": ["z"]}, tags=change("a", append=True)) == {"tags": ["z", "a"]}
    assert changed({}, platform=change("p")) == {"platforms": ["p"]}
    assert changed({}, args__A=change("1")) == {"args": {"A": "1"}}
    assert changed({}, no_cache=change("1")) == {"no-cache": True}
    assert changed({}, output=change("x")) == {"output": [{"type": "local", "dest": "x"}]}
    secrets = {"secret": [{"id": "s", "src": "a"}]}
    assert changed(secrets, secret__s=change("env=E")) == {"secret": [{"id": "s", "env": "E"}]}


def test_push_and_load() -> None:
    assert changed({}, push=change("true"))["output"] == [{"type": "image", "push": "true"}]
    image = {"output": [{"type": "image"}]}
    assert changed(image, push=change("true"))["output"] == [{"type": "image", "push": "true"}]
    assert changed({"output": [{"type": "tar"}]}, push=change("true"))["output"] == [
        {"type": "tar"}
    ]
    pushed = {"output": [{"type": "registry"}, {"type": "image", "push": "true"}]}
    assert changed(pushed, push=change("false"))["output"] == [{"type": "image", "push": "false"}]
    assert changed({}, load=change("true"))["output"] == [{"type": "docker"}]
    assert changed({"output": [{"type": "local"}]}, load=change("1"))["output"] == [
        {"type": "local"}
    ]
    both = changed({"output": [{"type": "image"}]}, load=change("true"))["output"]
    assert both == [{"type": "image"}, {"type": "docker"}]
    assert changed({}, load=change("false")) == {}


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("foo", "1", "unknown key: foo"),
        ("args", "1", "invalid format for args, expecting args.<name>=<value>"),
        ("pull", "x", "invalid value x for boolean key pull"),
        ("secret.s", "env=E", 'secret "s" must be declared before it can be overridden'),
    ],
)
def test_overrides_that_cannot_be(key: str, value: str, told: str) -> None:
    with pytest.raises(BakeProblem) as problem:
        override({}, {key: change(value)})
    assert told in str(problem.value)


def test_entries() -> None:
    assert entries("ssh", ["default", {"id": "k", "paths": ["a"]}, None, ""]) == [
        {"id": "default", "paths": []},
        {"id": "k", "paths": ["a"]},
    ]
    assert entries("secret", [{"type": "env", "id": "a", "src": "V"}]) == [{"id": "a", "env": "V"}]
    assert entries("attest", [{"type": "sbom", "disabled": True}]) == [
        {"type": "sbom", "disabled": "true"}
    ]
    for field in ("output", "cache-to", "attest"):
        with pytest.raises(ValueError):
            entries(field, [{"dest": "x"}])


def test_what_is_shown() -> None:
    found = shown(
        {
            "tags": [],
            "args": {"B": "${x}", "A": None},
            "context": ".",
            "attest": [{"type": "sbom", "disabled": "true"}],
            "ssh": [{"id": "a", "paths": []}],
        }
    )
    assert list(found) == ["attest", "context", "args", "ssh"]
    assert found["args"] == {"A": None, "B": "$${x}"} and list(found["args"]) == ["A", "B"]
    assert found["attest"] == [{"disabled": True, "type": "sbom"}]
    assert found["ssh"] == [{"id": "a"}]
