"""From text to trees, with Go's errors (``text/template/parse``).

:func:`parse` returns every template defined in the text under its name, the
text itself under the name it was given.
"""

from __future__ import annotations

from pierhead.cli.gotemplate import lexer as lx
from pierhead.cli.gotemplate import nodes as nd
from pierhead.cli.gotemplate.errors import TemplateError
from pierhead.cli.gotemplate.lexer import Lexer, Token
from pierhead.cli.gotemplate.numbers import parse_constant
from pierhead.cli.gotemplate.quoting import quote, unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

# Go allows 10,000; Python's own stack sets the limit here.
MAX_DEPTH = 100

_OPERANDS = frozenset(
    (
        lx.BOOL,
        lx.CHAR_CONSTANT,
        lx.COMPLEX,
        lx.DOT,
        lx.FIELD,
        lx.IDENTIFIER,
        lx.NUMBER,
        "nil",
        lx.RAW_STRING,
        lx.STRING,
        lx.VARIABLE,
        lx.LEFT_PAREN,
    )
)
_LITERALS = (nd.BoolNode, nd.DotNode, nd.NilNode, nd.NumberNode, nd.StringNode)


def parse(source: str, name: str, functions: Container[str]) -> dict[str, nd.Tree]:
    """Parse ``source``; ``functions`` are the names that may be called.

    Raises :class:`TemplateError`, e.g. ``template: :1: unclosed action``.
    """
    trees: dict[str, nd.Tree] = {}
    stream = Lexer(source)
    _Parser(stream, source, name, name, functions, trees).parse_top()
    return trees


class _Parser:
    """Parses one template; ``define`` and ``block`` make another on the same stream."""

    def __init__(
        self,
        stream: Lexer,
        source: str,
        name: str,
        parse_name: str,
        functions: Container[str],
        trees: dict[str, nd.Tree],
        depth: int = 0,
    ) -> None:
        self._stream = stream
        self._source = source
        self._name = name
        self._parse_name = parse_name
        self._functions = functions
        self._trees = trees
        self._variables = ["$"]
        # Go keeps three tokens; the line of errors is that of the newest one read.
        self._pushed: list[Token] = []
        self._newest = Token(lx.EOF, 0, "", 0)
        self._action_line = 0
        self._range_depth = 0
        self._depth = depth

    # The stream of tokens

    def _next(self) -> Token:
        if self._pushed:
            return self._pushed.pop()
        self._newest = self._stream.next()
        return self._newest

    def _back(self, *tokens: Token) -> None:
        """Push back tokens, given in the order in which they were read."""
        self._pushed.extend(reversed(tokens))

    def _peek(self) -> Token:
        token = self._next()
        self._pushed.append(token)
        return token

    def _next_word(self) -> Token:
        while True:
            token = self._next()
            if token.kind != lx.SPACE:
                return token

    def _peek_word(self) -> Token:
        token = self._next_word()
        self._pushed.append(token)
        return token

    # Errors

    def _fail(self, message: str) -> TemplateError:
        return TemplateError(f"template: {self._parse_name}:{self._newest.line}: {message}")

    def _unexpected(self, token: Token, context: str) -> TemplateError:
        if token.kind == lx.ERROR:
            extra = ""
            if self._action_line not in (0, token.line):
                extra = f" in action started at {self._parse_name}:{self._action_line}"
                if token.text.endswith(" action"):
                    extra = extra[len(" in action") :]
            return self._fail(token.text + extra)
        return self._fail(f"unexpected {token.describe()} in {context}")

    def _expect(self, kind: str, context: str) -> Token:
        token = self._next_word()
        if token.kind != kind:
            raise self._unexpected(token, context)
        return token

    def _unquote(self, token: Token) -> str:
        try:
            return unquote(token.text)
        except ValueError as error:
            raise self._fail(str(error)) from error

    # Templates

    def parse_top(self) -> None:
        root = nd.ListNode(self._peek().position)
        while (token := self._peek()).kind != lx.EOF:
            if token.kind == lx.LEFT:
                delimiter = self._next()
                word = self._next_word()
                if word.kind == "define":
                    self._define()
                    continue
                self._back(delimiter, word)
            node = self._text_or_action()
            if isinstance(node, (nd.EndNode, nd.ElseNode)):
                raise self._fail(f"unexpected {node}")
            root.nodes.append(node)
        self._add(self._name, root)

    def _child(self, name: str) -> _Parser:
        return _Parser(
            self._stream,
            self._source,
            name,
            self._parse_name,
            self._functions,
            self._trees,
            self._depth + 1,
        )

    def _add(self, name: str, root: nd.ListNode) -> None:
        present = self._trees.get(name)
        if present is None or present.root.is_empty():
            self._trees[name] = nd.Tree(name, root, self._source, self._parse_name)
        elif not root.is_empty():
            raise self._fail(f"template: multiple definition of template {quote(name)}")

    def _define(self) -> None:
        child = self._child("definition")
        context = "define clause"
        token = child._next_word()
        if token.kind not in (lx.STRING, lx.RAW_STRING):
            raise child._unexpected(token, context)
        name = child._unquote(token)
        child._expect(lx.RIGHT, context)
        root, end = child._list()
        if not isinstance(end, nd.EndNode):
            raise child._fail(f"unexpected {end} in {context}")
        child._add(name, root)

    def _list(self) -> tuple[nd.ListNode, nd.Node]:
        """Everything up to ``end`` or ``else``, which comes second."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._fail("max expression depth exceeded")
        out = nd.ListNode(self._peek_word().position)
        while self._peek_word().kind != lx.EOF:
            node = self._text_or_action()
            if isinstance(node, (nd.EndNode, nd.ElseNode)):
                self._depth -= 1
                return out, node
            out.nodes.append(node)
        raise self._fail("unexpected EOF")

    def _text_or_action(self) -> nd.Node:
        token = self._next_word()
        if token.kind == lx.TEXT:
            return nd.TextNode(token.position, token.text)
        if token.kind == lx.LEFT:
            self._action_line = token.line
            node = self._action()
            self._action_line = 0
            return node
        raise self._unexpected(token, "input")

    # Actions

    def _action(self) -> nd.Node:
        token = self._next_word()
        kind = token.kind
        if kind == "block":
            return self._block()
        if kind in ("break", "continue"):
            return self._jump(token)
        if kind == "else":
            return self._else()
        if kind == "end":
            return nd.EndNode(self._expect(lx.RIGHT, "end").position)
        if kind in ("if", "range", "with"):
            return self._branch(kind)
        if kind == "template":
            return self._template()
        self._back(token)
        first = self._peek()
        return nd.ActionNode(first.position, self._pipeline("command", lx.RIGHT))

    def _jump(self, token: Token) -> nd.Node:
        after = self._next_word()
        shown = "{{" + token.kind + "}}"
        if after.kind != lx.RIGHT:
            raise self._unexpected(after, shown)
        if self._range_depth == 0:
            raise self._fail(f"{shown} outside {{{{range}}}}")
        return nd.JumpNode(token.position, token.kind)

    def _else(self) -> nd.Node:
        token = self._peek_word()
        if token.kind not in ("if", "with"):
            token = self._expect(lx.RIGHT, "else")
        return nd.ElseNode(token.position)

    def _branch(self, kind: str) -> nd.Node:
        variables = len(self._variables)
        pipe = self._pipeline(kind, lx.RIGHT)
        self._range_depth += kind == "range"
        body, end = self._list()
        self._range_depth -= kind == "range"
        otherwise: nd.ListNode | None = None
        if isinstance(end, nd.ElseNode):
            if kind != "range" and self._peek().kind == kind:
                # {{else if x}}: the inner if takes the one {{end}} for both.
                self._next()
                otherwise = nd.ListNode(end.position)
                self._depth += 1
                if self._depth > MAX_DEPTH:
                    raise self._fail("max expression depth exceeded")
                otherwise.nodes.append(self._branch(kind))
                self._depth -= 1
            else:
                otherwise, end = self._list()
                if not isinstance(end, nd.EndNode):
                    raise self._fail(f"expected end; found {end}")
        del self._variables[variables:]
        return nd.BranchNode(kind, pipe.position, pipe, body, otherwise)

    def _block(self) -> nd.Node:
        context = "block clause"
        token = self._next_word()
        name = self._template_name(token, context)
        pipe = self._pipeline(context, lx.RIGHT)
        child = self._child(name)
        root, end = child._list()
        if not isinstance(end, nd.EndNode):
            raise self._fail(f"unexpected {end} in {context}")
        child._add(name, root)
        return nd.TemplateNode(token.position, name, pipe)

    def _template(self) -> nd.Node:
        context = "template clause"
        token = self._next_word()
        name = self._template_name(token, context)
        after = self._next_word()
        pipe: nd.PipeNode | None = None
        if after.kind != lx.RIGHT:
            self._back(after)
            pipe = self._pipeline(context, lx.RIGHT)
        return nd.TemplateNode(token.position, name, pipe)

    def _template_name(self, token: Token, context: str) -> str:
        if token.kind not in (lx.STRING, lx.RAW_STRING):
            raise self._unexpected(token, context)
        return self._unquote(token)

    # Pipelines

    def _pipeline(self, context: str, end: str) -> nd.PipeNode:
        pipe = nd.PipeNode(self._peek_word().position)
        self._declarations(pipe, context)
        while True:
            token = self._next_word()
            if token.kind == end:
                self._check_pipeline(pipe, context)
                return pipe
            if token.kind not in _OPERANDS:
                raise self._unexpected(token, context)
            self._back(token)
            pipe.commands.append(self._command())

    def _declarations(self, pipe: nd.PipeNode, context: str) -> None:
        """``$x :=``, ``$x =`` or ``$i, $x :=``; else nothing is consumed."""
        while (variable := self._peek_word()).kind == lx.VARIABLE:
            self._next()
            after = self._peek()
            following = self._peek_word()
            if following.kind in (lx.ASSIGN, lx.DECLARE):
                pipe.assigns = following.kind == lx.ASSIGN
                self._next_word()
                self._declare(pipe, variable)
                return
            if following.kind == lx.PUNCTUATION and following.text == ",":
                self._next_word()
                self._declare(pipe, variable)
                if context == "range" and len(pipe.declared) < 2:
                    if self._peek_word().kind in (lx.VARIABLE, lx.RIGHT, lx.RIGHT_PAREN):
                        continue
                    raise self._fail("range can only initialize variables")
                raise self._fail(f"too many declarations in {context}")
            if after.kind == lx.SPACE:
                self._back(variable, after)
            else:
                self._back(variable)
            return

    def _declare(self, pipe: nd.PipeNode, token: Token) -> None:
        pipe.declared.append(nd.VariableNode(token.position, token.text))
        self._variables.append(token.text)

    def _check_pipeline(self, pipe: nd.PipeNode, context: str) -> None:
        if not pipe.commands:
            raise self._fail(f"missing value for {context}")
        for number, command in enumerate(pipe.commands[1:], 2):
            if isinstance(command.arguments[0], _LITERALS):
                raise self._fail(f"non executable command in pipeline stage {number}")

    def _command(self) -> nd.CommandNode:
        command = nd.CommandNode(self._peek_word().position)
        while True:
            self._peek_word()
            operand = self._operand()
            if operand is not None:
                command.arguments.append(operand)
            token = self._next()
            if token.kind == lx.SPACE:
                continue
            if token.kind in (lx.RIGHT, lx.RIGHT_PAREN):
                self._back(token)
            elif token.kind != lx.PIPE:
                raise self._unexpected(token, "operand")
            break
        if not command.arguments:
            raise self._fail("empty command")
        return command

    def _operand(self) -> nd.Node | None:
        node = self._term()
        if node is None or self._peek().kind != lx.FIELD:
            return node
        chain = nd.ChainNode(self._peek().position, node)
        while self._peek().kind == lx.FIELD:
            chain.names.append(self._next().text[1:])
        if isinstance(node, nd.FieldNode):
            return nd.FieldNode(chain.position, str(chain))
        if isinstance(node, nd.VariableNode):
            return nd.VariableNode(chain.position, str(chain))
        if isinstance(node, _LITERALS):
            raise self._fail(f"unexpected . after term {quote(str(node))}")
        return chain

    def _term(self) -> nd.Node | None:
        token = self._next_word()
        kind = token.kind
        if kind == lx.FIELD:
            return nd.FieldNode(token.position, token.text)
        if kind == lx.IDENTIFIER:
            if token.text not in self._functions:
                raise self._fail(f"function {quote(token.text)} not defined")
            return nd.IdentifierNode(token.position, token.text)
        if kind == lx.DOT:
            return nd.DotNode(token.position)
        if kind == "nil":
            return nd.NilNode(token.position)
        if kind == lx.VARIABLE:
            return self._use(token)
        if kind == lx.BOOL:
            return nd.BoolNode(token.position, token.text == "true")
        if kind in (lx.NUMBER, lx.COMPLEX, lx.CHAR_CONSTANT):
            try:
                constant = parse_constant(token.text, kind)
            except ValueError as error:
                raise self._fail(str(error)) from error
            return nd.NumberNode(token.position, token.text, constant)
        if kind == lx.LEFT_PAREN:
            return self._parenthesized()
        if kind in (lx.STRING, lx.RAW_STRING):
            return nd.StringNode(token.position, token.text, self._unquote(token))
        self._back(token)
        return None

    def _parenthesized(self) -> nd.Node:
        if self._depth >= MAX_DEPTH:
            raise self._fail("max expression depth exceeded")
        self._depth += 1
        pipe = self._pipeline("parenthesized pipeline", lx.RIGHT_PAREN)
        self._depth -= 1
        return pipe

    def _use(self, token: Token) -> nd.Node:
        if token.text not in self._variables:
            raise self._fail(f"undefined variable {quote(token.text)}")
        return nd.VariableNode(token.position, token.text)
