"""Rules were compared with docker-buildx 0.29 (``bake --print``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pierhead.cli.bake.hcl.nodes import HclError
from pierhead.cli.bake.hcl.parser import parse
from pierhead.cli.bake.module import Module
from pierhead.cli.bake.target import BakeProblem


def module(*texts: str, environment: Mapping[str, str] | None = None) -> Module:
    found = Module(
        [parse("f.hcl", text) for text in texts], {"BUILTIN": "b"}, (environment or {}).get
    )
    found.validate()
    return found


def targets(*texts: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    return module(*texts, environment=environment).read()[1]


def test_variables_functions_and_references() -> None:
    found = targets(
        """
        variable "TAG" { default = "x-${OTHER}" }
        variable "OTHER" { default = upper("y") }
        g = "global"
        function "f" {
          params = [a]
          variadic_params = rest
          result = join("-", concat([a, TAG], rest))
        }
        target "a" { tags = [f("p", "q", "r"), g, BUILTIN] }
        target "b" { tags = target.a.tags, }
        """.replace("tags,", "tags")
    )
    assert found["a"]["tags"] == found["b"]["tags"] == ["p-x-Y-q-r", "global", "b"]


def test_the_environment_overrides_variables_and_nothing_else() -> None:
    text = """
    variable "S" { default = "a" }
    variable "N" { default = 1 }
    variable "B" { default = false }
    variable "L" {
      type = list(number)
      default = [1]
    }
    variable "NONE" {}
    g = "own"
    target "a" { args = { s = S, n = N + 1, b = B, l = join(",", L), none = NONE, g = g } }
    """
    given = {"S": "z", "N": "41", "B": "true", "L": "2,3", "NONE": "some", "g": "other"}
    assert targets(text, environment=given)["a"]["args"] == {
        "s": "z",
        "n": "42",
        "b": "true",
        "l": "2,3",
        "none": "some",
        "g": "own",
    }
    json = {"L_JSON": "[7]"}
    assert targets(text, environment=json)["a"]["args"]["l"] == "7"
    assert targets(text)["a"]["args"]["none"] == ""


def test_matrices() -> None:
    found = module(
        """
        target "m" {
          name = "m-${replace(v, ".", "-")}-${x.k}"
          matrix = { v = ["1.0", "2"], x = [{ k = "q" }, { k = "r" }] }
          args = { V = v }
        }
        """
    )
    made = found.read()[1]
    assert set(made) == {"m-1-0-q", "m-1-0-r", "m-2-q", "m-2-r"}
    assert made["m-2-r"]["args"] == {"V": "2"}
    assert sorted(found.renamed["m"]) == sorted(made)


def test_blocks_of_one_name_merge() -> None:
    found = targets(
        'target "a" {\n tags = ["x"]\n args = { A = 1 }\n}',
        'target "a" {\n tags = ["y"]\n args = { B = 2 }\n}',
    )
    assert found["a"] == {"tags": ["y"], "args": {"A": "1", "B": "2"}}


def test_what_others_keep_in_the_file_is_left_alone() -> None:
    assert targets('other "x" {}\ntarget "a" {\n unknown = 1\n extra "y" {}\n}') == {"a": {}}


def test_fields_have_their_types() -> None:
    found = targets(
        """
        target "a" {
          no-cache = "true"
          dockerfile = null
          args = { A = null, B = true, C = 1.5 }
          output = ["type=tar,dest=x", { type = "image", push = true }]
        }
        """
    )["a"]
    assert found == {
        "no-cache": True,
        "args": {"A": None, "B": "true", "C": "1.5"},
        "output": [{"type": "tar", "dest": "x"}, {"type": "image", "push": "true"}],
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            'variable "A" { default = B }\nvariable "B" { default = A }',
            "variable cycle not allowed",
        ),
        ('target "a" { tags = target.a.tags }', "reference cycle not allowed for target.a.tags"),
        ('target "a" { tags = [nope] }', 'There is no variable named "nope"'),
        ('target "a" { tags = "x" }', "list of string required"),
        ('target "a" { tags = [null] }', "null value is not allowed"),
        ('target "a b" {}', "Invalid name"),
        ('target "a" { name = "b" }', "name requires matrix"),
        ('target "a" { matrix = "b" }', "matrix must be a map"),
        ('target "a" { matrix = { v = "b" } }', "matrix values must be a list"),
        ('target "a" { matrix = { v = ["b", "c"] } }', 'duplicate name "a"'),
        ('group "g" {}', 'The argument "targets" is required'),
        ('group "g" { matrix = {v = []}\n targets = [] }', "matrix is not supported for groups"),
        ("target {}", "Missing name"),
        ('target "a" "b" {}', "Extraneous label"),
        ('variable "A" { nope = 1 }', 'An argument named "nope" is not expected'),
        ('variable "A" {\n type = foo\n}', "Invalid type specification"),
        ('variable "A" {\n type = number\n default = "x"\n}', "invalid type number"),
        ('function "f" { params = [] }', "empty result not allowed for f"),
        ('function "f" {\n params = [1]\n result = 1\n}', "Each parameter name"),
        (
            'function "f" {\n params = []\n result = f()\n}\ntarget "a" { tags = [f()] }',
            "function cycle not allowed",
        ),
        ('target "a" { output = ["dest=x,a=b"] }', "type is required for output"),
        ('target "a" { cache-to = [1] }', "a string or an object is required"),
        ('target "a" { args = [] }', "map of string required"),
    ],
)
def test_faults(text: str, told: str) -> None:
    with pytest.raises((HclError, BakeProblem)) as fault:
        targets(text)
    assert told in str(fault.value)


def test_validation() -> None:
    text = """
    variable "A" {
      default = "x"
      validation {
        condition = A == "y"
        error_message = "must be y, not ${A}"
      }
    }
    """
    assert module(text, environment={"A": "y"}).value("A") == "y"
    with pytest.raises(HclError, match="Validation failed; must be y, not x"):
        module(text)
