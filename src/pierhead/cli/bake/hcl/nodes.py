"""The parts of an HCL file, as its parser gives them. No IO, nothing is evaluated here."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Source:
    """One file: its name and text, and where offsets are."""

    __slots__ = ("name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def position(self, offset: int) -> tuple[int, int]:
        """(line, column), both from 1."""
        before = self.text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


class HclError(Exception):
    """A fault in a bake file: ``docker-bake.hcl:3,12-18: Unknown variable; There is no...``."""

    def __init__(self, source: Source, start: int, end: int, summary: str, detail: str) -> None:
        self.source = source
        self.line, column = source.position(start)
        last, end_column = source.position(max(end, start))
        if last == self.line:
            where = f"{self.line},{column}-{end_column}"
        else:
            where = f"{self.line},{column}-{last},{end_column}"
        self.last = last
        self.summary = summary
        self.detail = detail
        super().__init__(f"{source.name}:{where}: {summary}; {detail}")


class Node:
    """An expression; ``start`` and ``end`` are offsets in ``source``."""

    __slots__ = ("end", "source", "start")

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source = source
        self.start = start
        self.end = end

    def error(self, summary: str, detail: str) -> HclError:
        """A fault of this expression."""
        return HclError(self.source, self.start, self.end, summary, detail)


class Literal(Node):
    """A number, a string without anything in it, a truth value or null."""

    __slots__ = ("value",)

    def __init__(self, source: Source, start: int, end: int, value: object) -> None:
        super().__init__(source, start, end)
        self.value = value


class Template(Node):
    """Parts of a string: text, expressions and directives, to be joined."""

    __slots__ = ("parts",)

    def __init__(self, source: Source, start: int, end: int, parts: Sequence[Node]) -> None:
        super().__init__(source, start, end)
        self.parts = parts


class TemplateIf(Node):
    """``%{if c}...%{else}...%{endif}``"""

    __slots__ = ("condition", "no", "yes")

    def __init__(
        self, source: Source, start: int, end: int, condition: Node, yes: Node, no: Node
    ) -> None:
        super().__init__(source, start, end)
        self.condition = condition
        self.yes = yes
        self.no = no


class TemplateFor(Node):
    """``%{for k, v in x}...%{endfor}``"""

    __slots__ = ("body", "collection", "key", "value")

    def __init__(
        self,
        source: Source,
        start: int,
        end: int,
        key: str,
        value: str,
        collection: Node,
        body: Node,
    ) -> None:
        super().__init__(source, start, end)
        self.key = key
        self.value = value
        self.collection = collection
        self.body = body


class Variable(Node):
    """A name."""

    __slots__ = ("name",)

    def __init__(self, source: Source, start: int, end: int, name: str) -> None:
        super().__init__(source, start, end)
        self.name = name


class Attribute(Node):
    """``of.name``"""

    __slots__ = ("name", "of")

    def __init__(self, source: Source, start: int, end: int, of: Node, name: str) -> None:
        super().__init__(source, start, end)
        self.of = of
        self.name = name


class Index(Node):
    """``of[key]``"""

    __slots__ = ("key", "of")

    def __init__(self, source: Source, start: int, end: int, of: Node, key: Node) -> None:
        super().__init__(source, start, end)
        self.of = of
        self.key = key


class Splat(Node):
    """``of[*].a.b`` or ``of.*.a.b``: ``each`` is evaluated with every element as ``item``."""

    __slots__ = ("each", "item", "of")

    def __init__(
        self, source: Source, start: int, end: int, of: Node, item: Item, each: Node
    ) -> None:
        super().__init__(source, start, end)
        self.of = of
        self.item = item
        self.each = each


class Item(Node):
    """What a splat is at."""

    __slots__ = ()


class Call(Node):
    """A function call; with ``spread`` the last argument is a list of arguments."""

    __slots__ = ("arguments", "name", "spread")

    def __init__(
        self,
        source: Source,
        start: int,
        end: int,
        name: str,
        arguments: Sequence[Node],
        spread: bool,
    ) -> None:
        super().__init__(source, start, end)
        self.name = name
        self.arguments = arguments
        self.spread = spread


class Unary(Node):
    """``-x`` or ``!x``"""

    __slots__ = ("of", "operator")

    def __init__(self, source: Source, start: int, end: int, operator: str, of: Node) -> None:
        super().__init__(source, start, end)
        self.operator = operator
        self.of = of


class Binary(Node):
    """``left operator right``"""

    __slots__ = ("left", "operator", "right")

    def __init__(
        self, source: Source, start: int, end: int, operator: str, left: Node, right: Node
    ) -> None:
        super().__init__(source, start, end)
        self.operator = operator
        self.left = left
        self.right = right


class Conditional(Node):
    """``condition ? yes : no``"""

    __slots__ = ("condition", "no", "yes")

    def __init__(
        self, source: Source, start: int, end: int, condition: Node, yes: Node, no: Node
    ) -> None:
        super().__init__(source, start, end)
        self.condition = condition
        self.yes = yes
        self.no = no


class Tuple(Node):
    """``[a, b]``"""

    __slots__ = ("items",)

    def __init__(self, source: Source, start: int, end: int, items: Sequence[Node]) -> None:
        super().__init__(source, start, end)
        self.items = items


class Object(Node):
    """``{k = v}``"""

    __slots__ = ("items",)

    def __init__(
        self, source: Source, start: int, end: int, items: Sequence[tuple[Node, Node]]
    ) -> None:
        super().__init__(source, start, end)
        self.items = items


class For(Node):
    """``[for k, v in x : r if c]`` or ``{for k, v in x : n => r... if c}``"""

    __slots__ = ("collection", "condition", "group", "key", "name", "result", "value")

    def __init__(
        self,
        source: Source,
        start: int,
        end: int,
        *,
        key: str,
        value: str,
        collection: Node,
        name: Node | None,
        result: Node,
        condition: Node | None,
        group: bool,
    ) -> None:
        super().__init__(source, start, end)
        self.key = key
        self.value = value
        self.collection = collection
        self.name = name
        self.result = result
        self.condition = condition
        self.group = group


class Body:
    """Attributes and blocks between braces, or of a whole file."""

    __slots__ = ("attributes", "blocks")

    def __init__(self) -> None:
        self.attributes: dict[str, Assignment] = {}
        self.blocks: list[Block] = []


class Assignment:
    """``name = expression``"""

    __slots__ = ("expression", "name", "start")

    def __init__(self, name: str, expression: Node, start: int) -> None:
        self.name = name
        self.expression = expression
        self.start = start

    def error(self, summary: str, detail: str) -> HclError:
        """A fault of the name."""
        source = self.expression.source
        return HclError(source, self.start, self.start + len(self.name), summary, detail)


class Block:
    """``type "label" { ... }``"""

    __slots__ = ("body", "end", "labels", "source", "start", "type")

    def __init__(
        self, source: Source, start: int, end: int, type: str, labels: Sequence[str], body: Body
    ) -> None:
        self.source = source
        self.start = start
        self.end = end
        self.type = type
        self.labels = labels
        self.body = body

    def error(self, summary: str, detail: str) -> HclError:
        """A fault of the block's head."""
        return HclError(self.source, self.start, self.end, summary, detail)
