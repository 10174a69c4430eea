from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.bake.config import Config, matches, parse
from pierhead.cli.bake.target import BakeProblem

TEXT = b"""
group "default" { targets = ["app", "lib"] }
group "all" { targets = ["default", "other"] }
target "_base" {
  args = { A = 1, B = 1 }
  platforms = ["linux/amd64"]
}
target "app" {
  inherits = ["_base"]
  contexts = { l = "target:lib" }
  args = { A = 2 }
}
target "lib" { dockerfile = "D" }
target "other" { contexts = { x = "target:hidden" } }
target "hidden" { entitlements = ["network.host"] }
"""


def config(*files: tuple[str, bytes]) -> Config:
    return parse(files or [("f.hcl", TEXT)], {}, {}, {}, compose_environment=dict)


def resolved(*wanted: str, overrides: tuple[str, ...] = ()) -> Any:
    return config().resolve(wanted, overrides, {"E": "env"})


def test_inheritance_and_defaults() -> None:
    groups, targets = resolved("default")
    assert groups == {"default": {"targets": ["app", "lib"]}}
    assert targets["app"] == {
        "args": {"A": "2", "B": "1"},
        "platforms": ["linux/amd64"],
        "contexts": {"l": "target:lib"},
        "context": ".",
        "dockerfile": "Dockerfile",
    }
    assert targets["lib"]["dockerfile"] == "D"


def test_groups_of_groups() -> None:
    groups, targets = resolved("all")
    assert set(targets) == {"app", "lib", "other", "hidden"}
    assert groups["default"]["targets"] == ["all", "app", "lib"]
    assert groups["all"] == {"targets": ["default", "other"]}


def test_linked_targets_come_along_without_output() -> None:
    groups, targets = resolved("other")
    assert targets["hidden"]["output"] == [{"type": "cacheonly"}]
    assert targets["other"]["entitlements"] == ["network.host"]
    assert groups == {"default": {"targets": ["other"]}}


def test_patterns() -> None:
    assert set(resolved("*pp")[1]) == {"app", "lib"}
    with pytest.raises(BakeProblem, match='could not find any target matching "z\\*"'):
        resolved("z*")
    assert matches("[^x]b", "ab") and not matches("a?", "a")


def test_overrides() -> None:
    _, targets = resolved(
        "lib", overrides=("*.tags=a", "lib.tags=b", "lib.args.E", "lib.args.X=1", "lib.args.NO")
    )
    assert targets["lib"]["tags"] == ["a", "b"]
    assert targets["lib"]["args"] == {"E": "env", "X": "1"}


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ("foo", "invalid override key foo, expected target.name"),
        ("lib.tags", "invalid override lib.tags, expected target.name=value"),
        ("lib.args=1", "invalid key lib.args, args requires name"),
        ("zz.tags=1", "could not find any target matching 'zz'"),
    ],
)
def test_overrides_that_cannot_be(overrides: str, told: str) -> None:
    with pytest.raises(BakeProblem) as problem:
        resolved("lib", overrides=(overrides,))
    assert told in str(problem.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'target "a" { inherits = ["z"] }', "failed to find target z"),
        (b'target "a" { contexts = { x = "target:a" } }', "cannot link to itself"),
        (
            b'target "a" { contexts = { x = "target:b" } }\n'
            b'target "b" { contexts = { x = "target:a" } }',
            "infinite loop from b to a",
        ),
        (
            b'target "a" {\n contexts = { x = "target:b" }\n platforms = ["p", "q"]\n}\n'
            b'target "b" { platforms = ["r", "s"] }',
            r"its platforms [p q] are not a subset of [r s]",
        ),
    ],
)
def test_targets_that_cannot_be(text: bytes, told: str) -> None:
    with pytest.raises(BakeProblem) as problem:
        config(("f.hcl", text)).resolve(["a"], (), {})
    assert told in str(problem.value)


def test_files_of_all_kinds() -> None:
    found = config(
        ("x", b'target "a" { tags = ["1"] }'),
        ("y", b'{"target": {"b": {"tags": ["2"]}}}'),
        ("z.json", b'{"target": {"a": {"tags": ["3"]}}}'),
        ("m.hcl", b'target "m" {\n name = "m-${v}"\n matrix = { v = ["1", "2"] }\n}'),
    )
    assert found.targets["a"]["tags"] == ["3"] and found.targets["b"]["tags"] == ["2"]
    assert found.groups["m"]["targets"] == ["m-1", "m-2"]


def test_groups_of_hcl_replace_those_of_compose() -> None:
    pytest.importorskip("yaml")
    found = config(
        ("compose.yaml", b"services: {web: {build: .}}"),
        ("b.hcl", b'group "default" { targets = ["x"] }\ntarget "x" {}'),
    )
    assert found.groups["default"]["targets"] == ["x"] and "web" in found.targets
