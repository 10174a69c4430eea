from __future__ import annotations

import random

import pytest

from pierhead.cli.bake.hcl import nodes
from pierhead.cli.bake.hcl.parser import parse

FILE = """
# a comment
variable "A" { default = 1 } // another
target "x" {
  tags = [
    "a", "b${A}", /* c */
  ]
  args = {
    K = "v", "L" = 2
    (A) : 3
  }
}
"""


def test_attributes_and_blocks() -> None:
    body = parse("f", FILE)
    assert [(block.type, block.labels) for block in body.blocks] == [
        ("variable", ["A"]),
        ("target", ["x"]),
    ]
    target = body.blocks[1].body.attributes
    assert list(target) == ["tags", "args"]
    assert isinstance(target["tags"].expression, nodes.Tuple)
    args = target["args"].expression
    assert isinstance(args, nodes.Object) and len(args.items) == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = ", "f:1,5-6: Invalid expression"),
        ("a = 1 +", "Invalid expression"),
        ('a = "x', "Unterminated string"),
        ("a = 1 b = 2", "Missing newline after argument"),
        ("a = 1\na = 2", "Attribute redefined"),
        ('x "y" {', "Unclosed configuration block"),
        ("x y", "Invalid block definition"),
        ("}", "Argument or block definition required"),
        ("a = [1 2]", "Missing item separator"),
        ("a = {b 1}", "Missing key/value separator"),
        ("a = f(1 2)", "Missing argument separator"),
        ("a = /* x", "Unterminated comment"),
        ('a = "\\z"', "Invalid escape sequence"),
        ('"a" = 1', "Invalid argument name"),
        ("a = <<X\nb", "Unterminated template string"),
        ('a = "${1"', "Extra characters after interpolation"),
        ('a = "%{ if true }x"', "Unclosed directive"),
        ('a = "%{ endif }x"', "Unexpected directive"),
        ("a = (1", "Expected a closing parenthesis"),
        ("a = " + "(" * 200 + "1", "Expression too deep"),
        ("a = " + "!" * 200 + "true", "Expression too deep"),
        ("a = [for x 1]", "Invalid 'for' expression"),
        ("a = b.", "Invalid attribute name"),
    ],
)
def test_faults(text: str, told: str) -> None:
    with pytest.raises(nodes.HclError) as fault:
        parse("f", text)
    assert told in str(fault.value)


def test_nothing_but_its_own_errors() -> None:
    """Files cut and mixed at random either parse or are told what is wrong."""
    dice = random.Random(4)
    pieces = [*FILE, *'"${}%{}[](){}=.,*?:<<E\n~!&|', "for ", "if ", " in ", "=>", "..."]
    for _ in range(1500):
        text = list(FILE[: dice.randint(0, len(FILE))])
        for _ in range(dice.randint(0, 6)):
            text.insert(dice.randint(0, len(text)), dice.choice(pieces))
        try:
            parse("f", "".join(text))
        except nodes.HclError:
            pass
