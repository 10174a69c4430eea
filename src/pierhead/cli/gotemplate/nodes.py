"""The tree of a parsed template. ``str(node)`` is Go's text of it, used in errors."""

from __future__ import annotations

from pierhead.cli.gotemplate.quoting import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.gotemplate.numbers import Constant


class Node:
    """Base: ``position`` counts code points from the start of the source."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


class TextNode(Node):
    __slots__ = ("text",)

    def __init__(self, position: int, text: str) -> None:
        super().__init__(position)
        self.text = text

    def __str__(self) -> str:
        return quote(self.text)


class ListNode(Node):
    __slots__ = ("nodes",)

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.nodes: list[Node] = []

    def __str__(self) -> str:
        return "".join([str(node) for node in self.nodes])

    def is_empty(self) -> bool:
        """True if there is nothing but white space."""
        return all(
            (isinstance(node, TextNode) and not node.text.strip())
            or (isinstance(node, ListNode) and node.is_empty())
            for node in self.nodes
        )


class IdentifierNode(Node):
    """A function's name."""

    __slots__ = ("name",)

    def __init__(self, position: int, name: str) -> None:
        super().__init__(position)
        self.name = name

    def __str__(self) -> str:
        return self.name


class VariableNode(Node):
    """``$x.Field.Other``: the name with its dollar first."""

    __slots__ = ("names",)

    def __init__(self, position: int, text: str) -> None:
        super().__init__(position)
        self.names = text.split(".")

    def __str__(self) -> str:
        return ".".join(self.names)


class FieldNode(Node):
    """``.Field.Other``."""

    __slots__ = ("names",)

    def __init__(self, position: int, text: str) -> None:
        super().__init__(position)
        self.names = text[1:].split(".")

    def __str__(self) -> str:
        return "." + ".".join(self.names)


class ChainNode(Node):
    """Fields of something in parentheses, or of a function's result."""

    __slots__ = ("names", "node")

    def __init__(self, position: int, node: Node) -> None:
        super().__init__(position)
        self.node = node
        self.names: list[str] = []

    def __str__(self) -> str:
        head = f"({self.node})" if isinstance(self.node, PipeNode) else str(self.node)
        return ".".join([head, *self.names])


class DotNode(Node):
    __slots__ = ()

    def __str__(self) -> str:
        return "."


class NilNode(Node):
    __slots__ = ()

    def __str__(self) -> str:
        return "nil"


class BoolNode(Node):
    __slots__ = ("value",)

    def __init__(self, position: int, value: bool) -> None:
        super().__init__(position)
        self.value = value

    def __str__(self) -> str:
        return "true" if self.value else "false"


class NumberNode(Node):
    __slots__ = ("constant", "text")

    def __init__(self, position: int, text: str, constant: Constant) -> None:
        super().__init__(position)
        self.text = text
        self.constant = constant

    def __str__(self) -> str:
        return self.text


class StringNode(Node):
    """``quoted`` is the literal as written, ``text`` what it stands for."""

    __slots__ = ("quoted", "text")

    def __init__(self, position: int, quoted: str, text: str) -> None:
        super().__init__(position)
        self.quoted = quoted
        self.text = text

    def __str__(self) -> str:
        return self.quoted


class CommandNode(Node):
    __slots__ = ("arguments",)

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.arguments: list[Node] = []

    def __str__(self) -> str:
        return " ".join(
            [f"({node})" if isinstance(node, PipeNode) else str(node) for node in self.arguments]
        )


class PipeNode(Node):
    __slots__ = ("assigns", "commands", "declared")

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.declared: list[VariableNode] = []
        self.assigns = False
        self.commands: list[CommandNode] = []

    def __str__(self) -> str:
        head = ""
        if self.declared:
            names = ", ".join([str(node) for node in self.declared])
            head = names + (" = " if self.assigns else " := ")
        return head + " | ".join([str(command) for command in self.commands])


class ActionNode(Node):
    __slots__ = ("pipe",)

    def __init__(self, position: int, pipe: PipeNode) -> None:
        super().__init__(position)
        self.pipe = pipe

    def __str__(self) -> str:
        return "{{" + str(self.pipe) + "}}"


class BranchNode(Node):
    """``if``, ``with`` or ``range``, by ``kind``."""

    __slots__ = ("body", "kind", "otherwise", "pipe")

    def __init__(
        self, kind: str, position: int, pipe: PipeNode, body: ListNode, otherwise: ListNode | None
    ) -> None:
        super().__init__(position)
        self.kind = kind
        self.pipe = pipe
        self.body = body
        self.otherwise = otherwise

    def __str__(self) -> str:
        rest = "{{else}}" + str(self.otherwise) if self.otherwise is not None else ""
        return "{{" + f"{self.kind} {self.pipe}" + "}}" + f"{self.body}{rest}" + "{{end}}"


class JumpNode(Node):
    """``break`` or ``continue``."""

    __slots__ = ("kind",)

    def __init__(self, position: int, kind: str) -> None:
        super().__init__(position)
        self.kind = kind

    def __str__(self) -> str:
        return "{{" + self.kind + "}}"


class TemplateNode(Node):
    __slots__ = ("name", "pipe")

    def __init__(self, position: int, name: str, pipe: PipeNode | None) -> None:
        super().__init__(position)
        self.name = name
        self.pipe = pipe

    def __str__(self) -> str:
        rest = f" {self.pipe}" if self.pipe is not None else ""
        return "{{template " + quote(self.name) + rest + "}}"


class EndNode(Node):
    __slots__ = ()

    def __str__(self) -> str:
        return "{{end}}"


class ElseNode(Node):
    __slots__ = ()

    def __str__(self) -> str:
        return "{{else}}"


class Tree:
    """One named template: its name, its body, and the source that positions refer to."""

    __slots__ = ("name", "parse_name", "root", "source")

    def __init__(self, name: str, root: ListNode, source: str, parse_name: str) -> None:
        self.name = name
        self.root = root
        self.source = source
        self.parse_name = parse_name
