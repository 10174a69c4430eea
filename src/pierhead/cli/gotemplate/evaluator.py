"""Runs a parsed template over data, with Go's semantics and errors (``text/template``).

The one thing that is not visible in the data is which values Go would see through
``interface {}``; see ``values``. A pipeline's result is unwrapped, a field or an
element of a container of interfaces is not.
"""

from __future__ import annotations

from pierhead.cli.gotemplate import nodes as nd
from pierhead.cli.gotemplate.errors import FunctionError, TemplateError
from pierhead.cli.gotemplate.functions import BUILTINS, Function, element, entry
from pierhead.cli.gotemplate.printing import display
from pierhead.cli.gotemplate.quoting import quote
from pierhead.cli.gotemplate.values import (
    GoInt,
    GoMap,
    GoStruct,
    Interface,
    NilPointer,
    Number,
    Port,
    byte_length,
    is_integer,
    is_true,
    type_name,
    unwrap,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pierhead.cli.gotemplate.values import Value

# Go allows templates to call each other 100,000 deep; Python's stack does not.
MAX_TEMPLATE_DEPTH = 40
MAX_RANGE = 10_000_000


class _Missing:
    """No piped argument; unlike None, which is a value that is not there."""


_MISSING = _Missing()


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


def execute(
    trees: Mapping[str, nd.Tree],
    name: str,
    data: Value,
    functions: Mapping[str, Function],
    *,
    missing_key_error: bool = False,
) -> str:
    """Run the template ``name`` over ``data`` and return its text.

    Raises :class:`TemplateError` with Go's text.
    """
    out: list[str] = []
    state = _State(trees, trees[name], out, functions, missing_key_error)
    try:
        state.run(data)
    except TemplateError as error:
        error.partial = "".join(out)
        raise
    except RecursionError:
        raise TemplateError(f"template: {name}: exceeded maximum template depth") from None
    return "".join(out)


class _State:
    """One template being executed: its variables and where it is."""

    def __init__(
        self,
        trees: Mapping[str, nd.Tree],
        tree: nd.Tree,
        out: list[str],
        functions: Mapping[str, Function],
        missing_key_error: bool,
        depth: int = 0,
    ) -> None:
        self._trees = trees
        self._tree = tree
        self._out = out
        self._functions = functions
        self._missing_key_error = missing_key_error
        self._depth = depth
        self._node: nd.Node = tree.root
        self._variables: list[tuple[str, Value]] = []

    def run(self, data: Value) -> None:
        self._variables.append(("$", data))
        self._walk_list(data, self._tree.root)

    def _fail(self, message: str) -> TemplateError:
        tree, node = self._tree, self._node
        before = tree.source[: node.position]
        line_start = before.rfind("\n") + 1
        column = byte_length(before[line_start:])
        line = 1 + before.count("\n")
        return TemplateError(
            f"template: {tree.parse_name}:{line}:{column}: "
            f"executing {quote(tree.name)} at <{node}>: {message}"
        )

    # Statements

    def _walk_list(self, dot: Value, body: nd.ListNode) -> None:
        for node in body.nodes:
            if isinstance(node, nd.TextNode):
                self._out.append(node.text)
            elif isinstance(node, nd.ActionNode):
                self._node = node
                value = self._pipeline(dot, node.pipe)
                if not node.pipe.declared:
                    self._node = node
                    self._out.append("<no value>" if value is None else display(_pointee(value)))
            elif isinstance(node, nd.BranchNode):
                self._node = node
                if node.kind == "range":
                    self._range(dot, node)
                else:
                    self._if_or_with(dot, node)
            elif isinstance(node, nd.TemplateNode):
                self._template(dot, node)
            elif isinstance(node, nd.JumpNode):
                raise _Break if node.kind == "break" else _Continue

    def _if_or_with(self, dot: Value, node: nd.BranchNode) -> None:
        mark = len(self._variables)
        value = self._pipeline(dot, node.pipe)
        if is_true(value):
            self._walk_list(value if node.kind == "with" else dot, node.body)
        elif node.otherwise is not None:
            self._walk_list(dot, node.otherwise)
        del self._variables[mark:]

    def _range(self, dot: Value, node: nd.BranchNode) -> None:
        outer = len(self._variables)
        value = unwrap(self._pipeline(dot, node.pipe))
        mark = len(self._variables)
        ran = False
        names = [variable.names[0] for variable in node.pipe.declared]
        if is_integer(value) and len(names) > 1:
            raise self._fail(f"can't use {display(value)} to iterate over more than one variable")
        for key, item in self._items(value):
            ran = True
            if names:
                if node.pipe.assigns:
                    self._assign(names[0], key if len(names) > 1 else item)
                else:
                    self._variables[-1] = (names[-1], item)
            if len(names) > 1:
                if node.pipe.assigns:
                    self._assign(names[1], item)
                else:
                    self._variables[-2] = (names[0], key)
            try:
                self._walk_list(item, node.body)
            except _Continue:
                pass
            except _Break:
                break
            del self._variables[mark:]
        if not ran and node.otherwise is not None:
            self._walk_list(dot, node.otherwise)
        del self._variables[outer:]

    def _items(self, value: Value) -> Iterator[tuple[Value, Value]]:
        if value is None:
            return
        if isinstance(value, list):
            for at in range(len(value)):
                yield at, element(value, at)
        elif isinstance(value, dict):
            ports = isinstance(value, GoMap) and value.go_type.startswith("map[nat.Port]")
            for key in sorted(value):
                yield Port(key) if ports else key, entry(value, key)
        elif is_integer(value):
            for number in range(min(value, MAX_RANGE)):
                made = GoInt(number, value.go_type) if isinstance(value, GoInt) else number
                yield None, made
        elif isinstance(value, NilPointer):
            raise self._fail("range can't iterate over <nil>")
        else:
            raise self._fail(f"range can't iterate over {display(value)}")

    def _template(self, dot: Value, node: nd.TemplateNode) -> None:
        self._node = node
        tree = self._trees.get(node.name)
        if tree is None:
            raise self._fail(f"template {quote(node.name)} not defined")
        if self._depth >= MAX_TEMPLATE_DEPTH:
            raise self._fail(f"exceeded maximum template depth ({MAX_TEMPLATE_DEPTH})")
        value = None if node.pipe is None else self._pipeline(dot, node.pipe)
        inner = _State(
            self._trees,
            tree,
            self._out,
            self._functions,
            self._missing_key_error,
            self._depth + 1,
        )
        inner.run(value)

    # Variables

    def _variable(self, name: str) -> Value:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise self._fail(f"undefined variable: {name}")

    def _assign(self, name: str, value: Value) -> None:
        for at in range(len(self._variables) - 1, -1, -1):
            if self._variables[at][0] == name:
                self._variables[at] = (name, value)
                return
        raise self._fail(f"undefined variable: {name}")

    # Expressions

    def _pipeline(self, dot: Value, pipe: nd.PipeNode) -> Value:
        self._node = pipe
        value: Value = _MISSING
        for command in pipe.commands:
            value = self._command(dot, command, value)
            if isinstance(value, Interface):
                value = value.held
        for variable in pipe.declared:
            if pipe.assigns:
                self._assign(variable.names[0], value)
            else:
                self._variables.append((variable.names[0], value))
        return value

    def _command(self, dot: Value, command: nd.CommandNode, final: Value) -> Value:
        arguments = command.arguments
        first = arguments[0]
        if isinstance(first, nd.FieldNode):
            self._node = first
            return self._chain(dot, dot, first, first.names, arguments, final)
        if isinstance(first, nd.ChainNode):
            return self._chain_node(dot, first, arguments, final)
        if isinstance(first, nd.IdentifierNode):
            return self._function(dot, first, command, arguments, final)
        if isinstance(first, nd.PipeNode):
            self._not_a_function(arguments, final)
            return self._pipeline(dot, first)
        if isinstance(first, nd.VariableNode):
            return self._variable_node(dot, first, arguments, final)
        self._node = first
        self._not_a_function(arguments, final)
        if isinstance(first, nd.DotNode):
            return dot
        if isinstance(first, nd.NilNode):
            raise self._fail("nil is not a command")
        return self._constant(first)

    def _not_a_function(self, arguments: list[nd.Node], final: Value) -> None:
        if len(arguments) > 1 or final is not _MISSING:
            raise self._fail(f"can't give argument to non-function {arguments[0]}")

    def _constant(self, node: nd.Node) -> Value:
        if isinstance(node, nd.BoolNode):
            return node.value
        if isinstance(node, nd.StringNode):
            return node.text
        assert isinstance(node, nd.NumberNode)
        self._node = node
        constant, text = node.constant, node.text
        if constant.as_complex is not None:
            return constant.as_complex
        is_hex = text[:2].lower() == "0x" and len(text) > 2 and not ("p" in text or "P" in text)
        looks_float = any(char in ".eEpP" for char in text)
        if constant.as_float is not None and not is_hex and text[0] != "'" and looks_float:
            return constant.as_float
        if constant.as_int is not None:
            return constant.as_int
        raise self._fail(f"{text} overflows int")

    def _chain_node(
        self, dot: Value, node: nd.ChainNode, arguments: list[nd.Node] | None, final: Value
    ) -> Value:
        self._node = node
        if isinstance(node.node, nd.NilNode):
            raise self._fail(f"indirection through explicit nil in {node}")
        receiver = self._argument(dot, None, node.node)
        return self._chain(dot, receiver, node, node.names, arguments, final)

    def _variable_node(
        self, dot: Value, node: nd.VariableNode, arguments: list[nd.Node] | None, final: Value
    ) -> Value:
        self._node = node
        value = self._variable(node.names[0])
        if len(node.names) == 1:
            self._not_a_function(arguments or [], final)
            return value
        return self._chain(dot, value, node, node.names[1:], arguments, final)

    def _chain(
        self,
        dot: Value,
        receiver: Value,
        node: nd.Node,
        names: list[str],
        arguments: list[nd.Node] | None,
        final: Value,
    ) -> Value:
        for name in names[:-1]:
            receiver = self._field(dot, name, node, None, _MISSING, receiver)
        return self._field(dot, names[-1], node, arguments, final, receiver)

    def _field(
        self,
        dot: Value,
        name: str,
        node: nd.Node,
        arguments: list[nd.Node] | None,
        final: Value,
        receiver: Value,
    ) -> Value:
        if receiver is None:
            if self._missing_key_error:
                raise self._fail(f"nil data; no entry for key {quote(name)}")
            return None
        static_type = type_name(receiver)
        value = unwrap(receiver)
        if value is None:
            raise self._fail(f"nil pointer evaluating {static_type}.{name}")
        if hasattr(value, "go_method"):
            method = value.go_method(name)
            if method is not None:
                function = Function(method, value.METHOD_ARGUMENTS.get(name, ()))
                return self._call(dot, function, node, name, arguments, final)
        has_arguments = (arguments is not None and len(arguments) > 1) or final is not _MISSING
        if isinstance(value, GoStruct):
            found, field = value.get(name)
            if found:
                if has_arguments:
                    raise self._fail(f"{name} has arguments but cannot be invoked as function")
                return field
        elif isinstance(value, dict):
            if has_arguments:
                raise self._fail(f"{name} is not a method but has arguments")
            if name in value:
                return entry(value, name)
            if self._missing_key_error:
                raise self._fail(f"map has no entry for key {quote(name)}")
            return None
        elif isinstance(value, NilPointer):
            raise self._fail(f"nil pointer evaluating {static_type}.{name}")
        raise self._fail(f"can't evaluate field {name} in type {static_type}")

    # Calls

    def _function(
        self,
        dot: Value,
        node: nd.IdentifierNode,
        command: nd.Node,
        arguments: list[nd.Node] | None,
        final: Value,
    ) -> Value:
        self._node = node
        function = self._functions.get(node.name) or BUILTINS.get(node.name)
        if function is None:
            raise self._fail(f"{quote(node.name)} is not a defined function")
        return self._call(dot, function, command, node.name, arguments, final)

    def _call(
        self,
        dot: Value,
        function: Function,
        node: nd.Node,
        name: str,
        given: list[nd.Node] | None,
        final: Value,
    ) -> Value:
        arguments = given[1:] if given else []
        types = function.parameters
        piped = final is not _MISSING
        count = len(arguments) + piped
        fixed = len(types) - 1 if function.variadic else len(types)
        if function.variadic:
            if count < fixed:
                raise self._fail(
                    f"wrong number of args for {name}: want at least {fixed} got {len(arguments)}"
                )
        elif count != fixed:
            raise self._fail(f"wrong number of args for {name}: want {fixed} got {count}")
        if function is BUILTINS.get(name) and name in ("and", "or"):
            return self._short_circuit(dot, name, arguments, final)
        values = []
        for number, argument in enumerate(arguments):
            wanted = types[number] if number < fixed else types[-1]
            values.append(self._argument(dot, wanted, argument))
        if piped:
            wanted = types[min(count - 1, len(types) - 1)]
            values.append(self._typed(final, wanted))
        if name == "call" and function is BUILTINS["call"]:
            if arguments:
                called = str(arguments[0])
            else:  # reflect.Value.String
                called = final if isinstance(final, str) else f"<{type_name(final)} Value>"
            self._node = node
            raise self._fail(f"error calling call: {_no_call(called, values[0])}")
        try:
            return function.run(*values)
        except FunctionError as error:
            self._node = node
            raise self._fail(f"error calling {name}: {error}") from error

    def _short_circuit(
        self, dot: Value, name: str, arguments: list[nd.Node], final: Value
    ) -> Value:
        value: Value = None
        for argument in arguments:
            value = self._argument(dot, "value", argument)
            if is_true(value) == (name == "or"):
                return value
        return value if final is _MISSING else final

    # Arguments

    def _argument(self, dot: Value, wanted: str | None, node: nd.Node) -> Value:
        self._node = node
        if isinstance(node, nd.DotNode):
            return self._typed(dot, wanted)
        if isinstance(node, nd.NilNode):
            if wanted in ("any", "value", "[]string"):
                return None
            raise self._fail(f"cannot assign nil to {wanted}")
        if isinstance(node, nd.FieldNode):
            return self._typed(self._chain(dot, dot, node, node.names, None, _MISSING), wanted)
        if isinstance(node, nd.VariableNode):
            return self._typed(self._variable_node(dot, node, None, _MISSING), wanted)
        if isinstance(node, nd.PipeNode):
            return self._typed(self._pipeline(dot, node), wanted)
        if isinstance(node, nd.IdentifierNode):
            return self._typed(self._function(dot, node, node, None, _MISSING), wanted)
        if isinstance(node, nd.ChainNode):
            return self._typed(self._chain_node(dot, node, None, _MISSING), wanted)
        if wanted in (None, "any", "value"):
            return self._constant(node)
        if wanted == "string":
            if isinstance(node, nd.StringNode):
                return node.text
            raise self._fail(f"expected string; found {node}")
        if wanted == "int":
            if isinstance(node, nd.NumberNode) and node.constant.as_int is not None:
                return node.constant.as_int
            raise self._fail(f"expected integer; found {node}")
        raise self._fail(f"can't handle {node} for arg of type {wanted}")

    def _typed(self, value: Value, wanted: str | None) -> Value:
        """``value`` as an argument of type ``wanted`` (``validateType``)."""
        if wanted is None or wanted == "value":
            return value
        if wanted == "any":
            return unwrap(value)
        if value is None:
            if wanted == "[]string":
                return None
            raise self._fail(f"invalid value; expected {wanted}")
        inner = unwrap(value)
        if _assignable(inner, wanted):
            return inner
        shown = type_name(value if inner is None else inner)
        raise self._fail(f"wrong type for value; expected {wanted}; got {shown}")


def _pointee(value: Value) -> Value:
    """A template prints what a pointer points to (not ``&{...}``)."""
    if isinstance(value, GoStruct) and value.pointer:
        return GoStruct(value.go_type, value.fields)
    return value


def _assignable(value: Value, wanted: str) -> bool:
    if wanted == "string":
        return isinstance(value, str) and not isinstance(value, (Number, Port))
    if wanted == "int":
        return type(value) is int
    return isinstance(value, list) and type_name(value) == wanted


def _no_call(name: str, value: Value) -> str:
    value = unwrap(value)
    if value is None:
        return "call of nil"
    return f"non-function {name} of type {type_name(value)}"
