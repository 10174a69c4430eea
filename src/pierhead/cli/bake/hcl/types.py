"""Type constraints of variables: ``list(string)``, ``object({name = string})``. No IO."""

from __future__ import annotations

from pierhead.cli.bake.hcl import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.bake.hcl.values import Type

_SIMPLE = ("string", "number", "bool", "any")


def constraint(node: nodes.Node) -> Type:
    """The type an expression names. Raises ``HclError``."""
    if isinstance(node, nodes.Variable):
        if node.name in _SIMPLE:
            return node.name
        if node.name in ("list", "set", "map"):
            raise node.error(
                "Invalid type specification",
                f"The {node.name} type constructor requires one argument specifying the element "
                "type.",
            )
    if isinstance(node, nodes.Call) and len(node.arguments) == 1:
        inner = node.arguments[0]
        if node.name in ("list", "set", "map"):
            return (node.name, constraint(inner))
        if node.name == "tuple" and isinstance(inner, nodes.Tuple):
            return ("tuple", [constraint(one) for one in inner.items])
        if node.name == "object" and isinstance(inner, nodes.Object):
            fields = {}
            for key, value in inner.items:
                if not isinstance(key, nodes.Literal):
                    raise key.error("Invalid type specification", "Names must be constant.")
                fields[str(key.value)] = constraint(value)
            return ("object", fields)
    raise node.error(
        "Invalid type specification",
        "A type specification is either a primitive type keyword (bool, number, string) or a "
        "complex type constructor call, like list(string).",
    )
