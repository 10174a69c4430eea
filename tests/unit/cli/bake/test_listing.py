"""Layouts are docker-buildx 0.29's."""

from __future__ import annotations

import pytest

from pierhead.cli.bake.config import parse
from pierhead.cli.bake.listing import listed, printed
from pierhead.cli.bake.target import BakeProblem

TEXT = b"""
variable "L" {
  type = list(string)
  default = ["a"]
}
variable "N" {
  default = null
  description = "where"
}
group "default" {
  description = "x"
  targets = ["b", "a"]
}
target "a" { description = "the <first>" }
target "b" {}
target "_c" {}
"""


def test_lists() -> None:
    config = parse([("f.hcl", TEXT)], {}, {}, {}, compose_environment=dict)
    assert listed(config, "targets") == (
        "TARGET\tDESCRIPTION\na\tthe <first>\nb\t\ndefault\tx (a, b)\n"
    )
    assert listed(config, "type=variables") == (
        'VARIABLE\tTYPE\t\tVALUE\tDESCRIPTION\nL\t\tlist of string\t["a"]\t\n'
        "N\t\t\t\t<null>\twhere\n"
    )
    assert '"the \\u003cfirst\\u003e"' in listed(config, "type=targets,format=json")
    assert '"group": true' in listed(config, "type=targets,format=json")
    for wrong in ("x", "type=targets,format=x", "type=targets,a=b", "type=targets,a"):
        with pytest.raises(BakeProblem):
            listed(config, wrong)


def test_printed() -> None:
    text = printed({"default": {"targets": ["a"]}}, {"a": {"context": "."}})
    assert text == (
        '{\n  "group": {\n    "default": {\n      "targets": [\n        "a"\n      ]\n    }\n  },\n'
        '  "target": {\n    "a": {\n      "context": "."\n    }\n  }\n}\n'
    )
    assert printed({}, {}) == '{\n  "target": {}\n}\n'
