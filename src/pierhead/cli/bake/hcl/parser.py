"""HCL's native syntax: text to nodes. No IO. Source: the HCL syntax specification, version 2."""

from __future__ import annotations

from pierhead.cli.bake.hcl import nodes
from pierhead.cli.bake.hcl.cursor import Cursor
from pierhead.cli.bake.hcl.templates import TemplateParser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_BINARY: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("==", "!="),
    ("<=", ">=", "<", ">"),
    ("+", "-"),
    ("*", "/", "%"),
)
#: Expressions in each other; each takes some ten frames of Python's stack.
_DEPTH = 50


def parse(name: str, text: str) -> nodes.Body:
    """A whole file. Raises ``HclError``."""
    parser = Parser(nodes.Source(name, text.removeprefix("\ufeff")))
    return parser.body(top=True)


class Parser(Cursor):
    """Bodies and expressions of one text."""

    # Bodies

    def body(self, *, top: bool = False) -> nodes.Body:
        """Attributes and blocks up to the closing brace or the end."""
        body = nodes.Body()
        while True:
            self.space(lines=True)
            if self.at >= len(self.text):
                if top:
                    return body
                self.fail("Unclosed configuration block", "There is no closing brace.")
            if self.peek("}"):
                if top:
                    self.fail(
                        "Argument or block definition required",
                        "An argument or block definition is required here.",
                    )
                self.at += 1
                return body
            self._item(body)

    def _item(self, body: nodes.Body) -> None:
        start = self.at
        name = self.identifier()
        if not name and self.peek('"') and self._quoted_name(body, start):
            return
        if not name:
            self.fail(
                "Argument or block definition required",
                "An argument or block definition is required here.",
            )
        self.space()
        if self.peek("=") and not self.peek("=="):
            self.at += 1
            self._assign(body, name, start)
            return
        labels: list[str] = []
        while not self.peek("{"):
            if self.peek('"'):
                labels.append(self._label())
            elif label := self.identifier():
                labels.append(label)
            else:
                self.fail(
                    "Invalid block definition",
                    "A block definition must have block content delimited by "
                    '"{" and "}", starting on the same line as the block header.',
                )
            self.space()
        end = self.at
        self.at += 1
        flat, self.flat = self.flat, 0
        inner = self.body()
        self.flat = flat
        body.blocks.append(nodes.Block(self.source, start, end, name, labels, inner))
        self._line_end("block")

    def _quoted_name(self, body: nodes.Body, start: int) -> bool:
        """``"name" = x`` isn't allowed; a kind word about it."""
        self._label()
        self.space()
        if self.peek("="):
            self.fail("Invalid argument name", "Argument names must not be quoted.", start=start)
        return False

    def _assign(self, body: nodes.Body, name: str, start: int) -> None:
        self.space()
        expression = self.expression()
        if name in body.attributes:
            line, column = self.source.position(body.attributes[name].start)
            raise nodes.HclError(
                self.source,
                start,
                start + len(name),
                "Attribute redefined",
                f'The argument "{name}" was already set at {self.source.name}:{line},'
                f"{column}-{column + len(name)}. Each argument may be set only once.",
            )
        body.attributes[name] = nodes.Assignment(name, expression, start)
        self._line_end("argument")

    def _line_end(self, what: str) -> None:
        self.space()
        if self.at < len(self.text) and self.text[self.at] not in "\n}":
            self.fail(
                f"Missing newline after {what}",
                f"An {what} definition must end with a newline."
                if what == "argument"
                else "A block definition must end with a newline.",
            )

    def _label(self) -> str:
        end = self.text.find('"', self.at + 1)
        if end < 0 or "\n" in self.text[self.at : end]:
            self.fail("Invalid string literal", "A label must be closed on its line.")
        label = self.text[self.at + 1 : end]
        self.at = end + 1
        return label

    # Expressions

    def expression(self) -> nodes.Node:
        """The expression at the cursor."""
        self.depth += 1
        if self.depth > _DEPTH:
            self.fail("Expression too deep", f"More than {_DEPTH} expressions in each other.")
        self.space()
        start = self.at
        condition = self._binary(0)
        self.space()
        if self.take("?"):
            self.flat += 1
            self.space()
            yes = self.expression()
            self.space()
            self.expect(":", "The conditional operator needs a colon and a false result.")
            no_start = self.at
            self.flat -= 1
            self.space(lines=True)
            no = self.expression() if self.at < len(self.text) else self._missing(no_start)
            condition = nodes.Conditional(self.source, start, no.end, condition, yes, no)
        self.depth -= 1
        return condition

    def _missing(self, start: int) -> NoReturn:
        self.fail("Invalid expression", "Expected the start of an expression.", start=start)

    def _binary(self, level: int) -> nodes.Node:
        if level == len(_BINARY):
            return self._unary()
        start = self.at
        left = self._binary(level + 1)
        while True:
            self.space()
            for operator in _BINARY[level]:
                if self.peek(operator) and not self._is_other(operator):
                    self.at += len(operator)
                    self.space(lines=True)
                    right = self._binary(level + 1)
                    left = nodes.Binary(self.source, start, right.end, operator, left, right)
                    break
            else:
                return left

    def _is_other(self, operator: str) -> bool:
        """Whether what looks like ``operator`` begins something else."""
        following = self.text[self.at + len(operator) : self.at + len(operator) + 1]
        return (operator == "/" and following in ("/", "*")) or (
            operator in ("<", ">") and following == "="
        )

    def _unary(self) -> nodes.Node:
        self.space()
        start = self.at
        for operator in ("-", "!"):
            if self.peek(operator) and not self.peek("!="):
                self.at += 1
                self.depth += 1
                if self.depth > _DEPTH:
                    self.fail("Expression too deep", f"More than {_DEPTH} in each other.")
                of = self._unary()
                self.depth -= 1
                return nodes.Unary(self.source, start, of.end, operator, of)
        return self._traversals(self._primary(), start)

    def _primary(self) -> nodes.Node:
        start = self.at
        text = self.text
        char = text[start : start + 1]
        if char == '"':
            return TemplateParser(self).quoted()
        if text.startswith("<<", start):
            return TemplateParser(self).heredoc()
        if char.isdigit():
            return self._number()
        if char == "(":
            self.at += 1
            self.flat += 1
            inner = self.expression()
            self.space()
            self.expect(")", "Expected a closing parenthesis to end the expression.")
            self.flat -= 1
            return inner
        if char in ("[", "{"):
            return self._collection(char)
        name = self.identifier()
        if not name:
            self.fail("Invalid expression", "Expected the start of an expression.")
        if name in ("true", "false", "null"):
            value = {"true": True, "false": False, "null": None}[name]
            return nodes.Literal(self.source, start, self.at, value)
        if self.peek("::"):
            self.fail("Invalid expression", "Functions have no namespaces here.")
        if self.peek("("):
            return self._call(name, start)
        return nodes.Variable(self.source, start, self.at, name)

    def _number(self) -> nodes.Node:
        text, start = self.text, self.at
        end = start
        while end < len(text) and (
            text[end].isdigit()
            or (text[end] == "." and text[end + 1 : end + 2].isdigit())
            or text[end] in "eE"
            or (text[end] in "+-" and text[end - 1] in "eE")
        ):
            end += 1
        self.at = end
        digits = text[start:end]
        try:
            value: object = float(digits) if any(char in digits for char in ".eE") else int(digits)
        except ValueError:
            self.fail("Invalid number literal", "Failed to recognize the number.", start=start)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return nodes.Literal(self.source, start, end, value)

    def _call(self, name: str, start: int) -> nodes.Node:
        self.at += 1
        self.flat += 1
        arguments: list[nodes.Node] = []
        spread = False
        while True:
            self.space()
            if self.take(")"):
                break
            if spread:
                self.fail("Invalid expression", "Only the last argument can be expanded by '...'.")
            arguments.append(self.expression())
            self.space()
            spread = self.take("...")
            self.space()
            if not self.take(",") and not self.peek(")"):
                self.fail(
                    "Missing argument separator",
                    "A comma is required to separate each function argument from the next.",
                )
        self.flat -= 1
        return nodes.Call(self.source, start, self.at, name, arguments, spread)

    def _traversals(self, node: nodes.Node, start: int) -> nodes.Node:
        while True:
            if self.flat:
                mark = self.at
                self.space()
                if not (self.peek(".") and not self.peek("...")) and not self.peek("["):
                    self.at = mark
                    return node
            if self.peek("...") or not (self.peek(".") or self.peek("[")):
                return node
            if self.take("."):
                if self.take("*"):
                    return self._splat(node, start, attributes_only=True)
                digits = self.at
                while self.text[self.at : self.at + 1].isdigit():
                    self.at += 1
                if self.at > digits:
                    number = int(self.text[digits : self.at])
                    key: nodes.Node = nodes.Literal(self.source, digits, self.at, number)
                    node = nodes.Index(self.source, start, self.at, node, key)
                    continue
                name = self.identifier()
                if not name:
                    self.fail(
                        "Invalid attribute name", "An attribute name is required after a dot."
                    )
                node = nodes.Attribute(self.source, start, self.at, node, name)
                continue
            self.at += 1
            self.flat += 1
            self.space()
            if self.take("*"):
                self.space()
                self.expect("]", "A bracket is missing after [*.")
                self.flat -= 1
                return self._splat(node, start, attributes_only=False)
            key = self.expression()
            self.space()
            self.expect("]", "The index operator must end with a closing bracket.")
            self.flat -= 1
            node = nodes.Index(self.source, start, self.at, node, key)

    def _splat(self, node: nodes.Node, start: int, *, attributes_only: bool) -> nodes.Node:
        """What follows a splat is applied to each element; ``.*`` only takes attributes along."""
        item = nodes.Item(self.source, self.at, self.at)
        each: nodes.Node = item
        if attributes_only:
            while self.peek(".") and not self.peek("..."):
                self.at += 1
                name = self.identifier()
                if not name:
                    self.fail(
                        "Invalid attribute name", "An attribute name is required after a dot."
                    )
                each = nodes.Attribute(self.source, start, self.at, each, name)
            found: nodes.Node = nodes.Splat(self.source, start, self.at, node, item, each)
            return self._traversals(found, start)
        each = self._traversals(item, start)
        return nodes.Splat(self.source, start, self.at, node, item, each)

    def _collection(self, bracket: str) -> nodes.Node:
        start = self.at
        self.at += 1
        self.flat += 1
        closing = "]" if bracket == "[" else "}"
        self.space()
        mark = self.at
        if self.identifier() == "for" and self.text[self.at : self.at + 1].isspace():
            node = self._for(start, closing)
        else:
            self.at = mark
            node = self._tuple(start) if bracket == "[" else self._object(start)
        self.flat -= 1
        return node

    def _tuple(self, start: int) -> nodes.Node:
        items: list[nodes.Node] = []
        while True:
            self.space()
            if self.take("]"):
                return nodes.Tuple(self.source, start, self.at, items)
            items.append(self.expression())
            self.space()
            if not self.take(",") and not self.peek("]"):
                self.fail(
                    "Missing item separator",
                    "Expected a comma to mark the beginning of the next item.",
                )

    def _object(self, start: int) -> nodes.Node:
        items: list[tuple[nodes.Node, nodes.Node]] = []
        while True:
            self.space()
            if self.take("}"):
                return nodes.Object(self.source, start, self.at, items)
            key = self._key()
            self.space()
            if not (self.take("=") or self.take(":")):
                self.fail(
                    "Missing key/value separator",
                    'Expected an equals sign ("=") to mark the beginning of the attribute value.',
                )
            self.space()
            # A line end may separate items, so it counts within the value.
            flat, self.flat = self.flat, 0
            value = self.expression()
            self.space()
            separated = self.take(",") or self.peek("\n")
            self.flat = flat
            items.append((key, value))
            self.space()
            if not separated and not self.peek("}"):
                self.fail(
                    "Missing attribute separator",
                    "Expected a newline or comma to mark the beginning of the next attribute.",
                )

    def _key(self) -> nodes.Node:
        """A bare name is that text; everything else is an expression."""
        start = self.at
        name = self.identifier()
        if name:
            mark = self.at
            self.space()
            if (self.peek("=") and not self.peek("==")) or self.peek(":"):
                return nodes.Literal(self.source, start, mark, name)
            self.at = start
        return self.expression()

    def _for(self, start: int, closing: str) -> nodes.Node:
        self.space()
        key, value = "", self.identifier()
        self.space()
        if self.take(","):
            self.space()
            key, value = value, self.identifier()
            self.space()
        if not value or self.identifier() != "in":
            self.fail("Invalid 'for' expression", "For expression requires 'in' and a collection.")
        collection = self.expression()
        self.space()
        self.expect(":", "For expression requires a colon after the collection expression.")
        name: nodes.Node | None = None
        result = self.expression()
        self.space()
        group = False
        if closing == "}":
            self.expect("=>", "A key and '=>' are required to make an object.")
            name, result = result, self.expression()
            self.space()
            group = self.take("...")
            self.space()
        condition: nodes.Node | None = None
        mark = self.at
        if self.identifier() == "if":
            condition = self.expression()
            self.space()
        else:
            self.at = mark
        self.expect(closing, "Extra characters after the end of the 'for' expression.")
        return nodes.For(
            self.source,
            start,
            self.at,
            key=key,
            value=value,
            collection=collection,
            name=name,
            result=result,
            condition=condition,
            group=group,
        )
