"""Strings with something in them: ``"..."``, heredocs, and texts from JSON files. No IO."""

from __future__ import annotations

from pierhead.cli.bake.hcl import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pierhead.cli.bake.hcl.parser import Parser

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


class _Directive(nodes.Node):
    """``%{...}`` before it is known what belongs to it."""

    __slots__ = ("collection", "condition", "key", "kind", "value")

    def __init__(self, source: nodes.Source, start: int, end: int, kind: str) -> None:
        super().__init__(source, start, end)
        self.kind = kind
        self.condition: nodes.Node | None = None
        self.collection: nodes.Node | None = None
        self.key = self.value = ""


class TemplateParser:
    """Reads one template with the cursor of ``parser``."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._source = parser.source
        self._strip_next = False

    def quoted(self) -> nodes.Node:
        """The string at the cursor."""
        parser = self._parser
        start = parser.at
        parser.at += 1
        parts = self._parts(escapes=True, end=-1)
        return self._node(start, parts)

    def whole(self) -> nodes.Node:
        """All of the text as a template, as in JSON files."""
        parts = self._parts(escapes=False, end=len(self._parser.text))
        return self._node(0, parts)

    def heredoc(self) -> nodes.Node:
        """The heredoc at the cursor."""
        parser = self._parser
        start = parser.at
        parser.at += 2
        flush = parser.take("-")
        name = parser.identifier()
        line_end = parser.text.find("\n", parser.at)
        if not name or line_end < 0 or parser.text[parser.at : line_end].strip():
            parser.fail("Invalid heredoc", "A heredoc needs a name, alone on its line.", start)
        begin = at = line_end + 1
        while True:
            stop = parser.text.find("\n", at)
            line = parser.text[at : stop if stop >= 0 else len(parser.text)]
            if line.strip() == name:
                break
            if stop < 0:
                parser.fail("Unterminated template string", "No closing marker was found.", start)
            at = stop + 1
        parser.at = begin
        parts = self._parts(escapes=False, end=at)
        parser.at = at + len(line)
        if flush:
            _unindent(parts)
        return self._node(start, parts)

    def _node(self, start: int, parts: list[nodes.Node]) -> nodes.Node:
        joined, rest = self._structure(parts, 0, ())
        if rest < len(parts):
            raise parts[rest].error("Unexpected directive", "There is no directive it could end.")
        end = self._parser.at
        if not joined:
            return nodes.Literal(self._source, start, end, "")
        if len(joined) == 1 and isinstance(joined[0], nodes.Literal):
            return nodes.Literal(self._source, start, end, joined[0].value)
        return nodes.Template(self._source, start, end, joined)

    def _parts(self, *, escapes: bool, end: int) -> list[nodes.Node]:
        """Texts, expressions and directives up to the closing quote or ``end``."""
        parser = self._parser
        text = parser.text
        parts: list[nodes.Node] = []
        piece: list[str] = []
        begin = parser.at

        def flush() -> None:
            value = "".join(piece)
            if self._strip_next:
                value = value.lstrip(" \t\r\n")
                self._strip_next = not value
            if value:
                parts.append(nodes.Literal(self._source, begin, parser.at, value))
            piece.clear()

        while True:
            at = parser.at
            if at >= len(text) or (end >= 0 and at >= end):
                if escapes:
                    parser.fail("Unterminated string", "A string has no closing quote.", begin)
                flush()
                return parts
            char = text[at]
            if escapes and char == '"':
                flush()
                parser.at += 1
                return parts
            if escapes and char == "\n":
                parser.fail("Invalid multi-line string", "Quoted strings may not have lines.")
            if escapes and char == "\\":
                piece.append(self._escape())
            elif text.startswith(("$${", "%%{"), at):
                piece.append(text[at + 1 : at + 3])
                parser.at += 3
            elif text.startswith(("${", "%{"), at):
                flush()
                parser.at += 2
                if parser.take("~") and parts and isinstance(parts[-1], nodes.Literal):
                    parts[-1].value = str(parts[-1].value).rstrip(" \t\r\n")
                parts.append(self._directive(at) if char == "%" else self._interpolation())
                begin = parser.at
            else:
                piece.append(char)
                parser.at += 1

    def _escape(self) -> str:
        parser = self._parser
        text, at = parser.text, parser.at
        kind = text[at + 1 : at + 2]
        if kind in _ESCAPES:
            parser.at += 2
            return _ESCAPES[kind]
        digits = {"u": 4, "U": 8}.get(kind, 0)
        code = text[at + 2 : at + 2 + digits]
        try:
            if not digits or len(code) < digits:
                raise ValueError
            char = chr(int(code, 16))
        except (ValueError, OverflowError):
            parser.fail(
                "Invalid escape sequence", f"The symbol {kind!r} is not a valid escape selector."
            )
        parser.at += 2 + digits
        return char

    def _interpolation(self) -> nodes.Node:
        parser = self._parser
        parser.flat += 1
        found = parser.expression()
        self._close()
        return found

    def _close(self) -> None:
        parser = self._parser
        parser.space()
        self._strip_next = parser.take("~")
        if not parser.take("}"):
            parser.fail(
                "Extra characters after interpolation expression",
                "Expected a closing brace to end the interpolation expression.",
            )
        parser.flat -= 1

    def _directive(self, start: int) -> nodes.Node:
        parser = self._parser
        parser.flat += 1
        parser.space()
        kind = parser.identifier()
        found = _Directive(self._source, start, parser.at, kind)
        if kind == "if":
            found.condition = parser.expression()
        elif kind == "for":
            parser.space()
            found.value = parser.identifier()
            parser.space()
            if parser.take(","):
                parser.space()
                found.key, found.value = found.value, parser.identifier()
                parser.space()
            if not found.value or parser.identifier() != "in":
                parser.fail("Invalid 'for' directive", "It requires 'in' and a collection.")
            found.collection = parser.expression()
        elif kind not in ("else", "endif", "endfor"):
            parser.fail("Invalid template directive", f"{kind or 'this'!r} is no directive.")
        self._close()
        found.end = parser.at
        return found

    def _structure(
        self, parts: Sequence[nodes.Node], at: int, stops: tuple[str, ...]
    ) -> tuple[list[nodes.Node], int]:
        """Parts from ``at`` up to a directive of ``stops``, inner ones put together."""
        out: list[nodes.Node] = []
        while at < len(parts):
            part = parts[at]
            if not isinstance(part, _Directive):
                out.append(part)
                at += 1
                continue
            if part.kind in stops:
                return out, at
            if part.kind == "if" and part.condition is not None:
                yes, at = self._structure(parts, at + 1, ("else", "endif"))
                no: list[nodes.Node] = []
                if at < len(parts) and _kind(parts[at]) == "else":
                    no, at = self._structure(parts, at + 1, ("endif",))
                self._ended(part, parts, at)
                out.append(
                    nodes.TemplateIf(
                        self._source,
                        part.start,
                        part.end,
                        part.condition,
                        self._template(part, yes),
                        self._template(part, no),
                    )
                )
                at += 1
            elif part.kind == "for" and part.collection is not None:
                body, at = self._structure(parts, at + 1, ("endfor",))
                self._ended(part, parts, at)
                out.append(
                    nodes.TemplateFor(
                        self._source,
                        part.start,
                        part.end,
                        part.key,
                        part.value,
                        part.collection,
                        self._template(part, body),
                    )
                )
                at += 1
            else:
                return out, at
        return out, at

    def _ended(self, part: _Directive, parts: Sequence[nodes.Node], at: int) -> None:
        if at >= len(parts) or _kind(parts[at]) != f"end{part.kind}":
            raise part.error("Unclosed directive", f"%{{{part.kind}}} needs %{{end{part.kind}}}.")

    def _template(self, part: nodes.Node, inner: list[nodes.Node]) -> nodes.Node:
        return nodes.Template(self._source, part.start, part.end, inner)


def _kind(part: nodes.Node) -> str:
    return part.kind if isinstance(part, _Directive) else ""


def _unindent(parts: list[nodes.Node]) -> None:
    """Take away the indent that all lines of a ``<<-`` heredoc have in common."""
    least: int | None = None
    fresh = True
    for part in parts:
        if not isinstance(part, nodes.Literal):
            if fresh:
                least = 0
            fresh = False
            continue
        for number, line in enumerate(str(part.value).split("\n")):
            if number:
                fresh = True
            if fresh and line.strip():
                indent = len(line) - len(line.lstrip(" \t"))
                least = indent if least is None else min(least, indent)
                fresh = False
            elif fresh and line and part is not parts[-1]:
                # Blanks before an interpolation are its line's indent.
                is_last = number == str(part.value).count("\n")
                if is_last:
                    least = len(line) if least is None else min(least, len(line))
                    fresh = False
    if not least:
        return
    fresh = True
    for part in parts:
        if not isinstance(part, nodes.Literal):
            fresh = False
            continue
        lines = str(part.value).split("\n")
        for number, line in enumerate(lines):
            if number or fresh:
                lines[number] = line[min(least, len(line) - len(line.lstrip(" \t"))) :]
        fresh = str(part.value).endswith("\n")
        part.value = "\n".join(lines)
