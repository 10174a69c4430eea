"""Values of expressions. No IO: names come from a ``Scope``."""

from __future__ import annotations

from pierhead.cli.bake.hcl import nodes
from pierhead.cli.bake.hcl.values import (
    Set,
    ValueProblem,
    kind,
    number,
    same,
    to_bool,
    to_number,
    to_string,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any


class Scope:
    """Names and functions that an expression may use; inner scopes see the outer ones'.

    ``find`` gives the value of a name or raises ``KeyError``; it may work it out only then.
    """

    __slots__ = ("_names", "_outer", "find", "functions", "known")

    def __init__(
        self,
        names: dict[str, Any] | None = None,
        *,
        outer: Scope | None = None,
        find: Callable[[str], Any] | None = None,
        functions: Callable[[str], Callable[..., Any]] | None = None,
        known: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        self._names = names or {}
        self._outer = outer
        self.find = find
        self.functions = functions
        self.known = known

    def value(self, name: str) -> Any:
        """Raises ``KeyError``."""
        if name in self._names:
            return self._names[name]
        if self.find is not None:
            return self.find(name)
        if self._outer is not None:
            return self._outer.value(name)
        raise KeyError(name)

    def function(self, name: str) -> Callable[..., Any]:
        """Raises ``KeyError``."""
        if self.functions is not None:
            return self.functions(name)
        if self._outer is not None:
            return self._outer.function(name)
        raise KeyError(name)

    def names(self) -> list[str]:
        """All names, for suggestions."""
        found = list(self._names)
        if self.known is not None:
            found += self.known()
        return found + (self._outer.names() if self._outer is not None else [])


def suggestion(name: str, names: Iterable[str]) -> str:
    """`` Did you mean "x"?``, or nothing."""
    from difflib import get_close_matches

    found = get_close_matches(name, list(names), 1, 0.7)
    return f' Did you mean "{found[0]}"?' if found else ""


def evaluate(node: nodes.Node, scope: Scope) -> Any:
    """The value of ``node``. Raises ``HclError``."""
    return _RULES[type(node)](node, scope)


def _literal(node: nodes.Literal, scope: Scope) -> Any:
    return node.value


def _template(node: nodes.Template, scope: Scope) -> Any:
    if len(node.parts) == 1 and not isinstance(
        node.parts[0], (nodes.TemplateIf, nodes.TemplateFor, nodes.Template)
    ):
        return evaluate(node.parts[0], scope)
    return _joined(node.parts, scope)


def _joined(parts: Iterable[nodes.Node], scope: Scope) -> str:
    out = []
    for part in parts:
        value = evaluate(part, scope)
        if value is None:
            raise part.error(
                "Invalid template interpolation value",
                "The expression result is null. Cannot include a null value in a string template.",
            )
        try:
            out.append(to_string(value))
        except ValueProblem as problem:
            raise part.error(
                "Invalid template interpolation value",
                f"Cannot include the given value in a string template: {problem}.",
            ) from None
    return "".join(out)


def _text(node: nodes.Node, scope: Scope) -> str:
    """What stands within a directive, always text."""
    if isinstance(node, nodes.Template):
        return _joined(node.parts, scope)
    return _joined((node,), scope)


def _template_if(node: nodes.TemplateIf, scope: Scope) -> str:
    return _text(node.yes if _truth(node.condition, scope) else node.no, scope)


def _template_for(node: nodes.TemplateFor, scope: Scope) -> str:
    out = []
    for key, value in _pairs(node.collection, scope):
        inner = Scope({node.key: key, node.value: value}, outer=scope)
        out.append(_text(node.body, inner))
    return "".join(out)


def _truth(node: nodes.Node, scope: Scope) -> bool:
    value = evaluate(node, scope)
    if value is None:
        raise node.error("Null condition", "The condition value is null.")
    try:
        return to_bool(value)
    except ValueProblem as problem:
        raise node.error(
            "Incorrect condition type", f"The condition is wrong: {problem}."
        ) from None


def _variable(node: nodes.Variable, scope: Scope) -> Any:
    try:
        return scope.value(node.name)
    except KeyError:
        raise node.error(
            "Unknown variable",
            f'There is no variable named "{node.name}".{suggestion(node.name, scope.names())}',
        ) from None


def _attribute(node: nodes.Attribute, scope: Scope) -> Any:
    of = evaluate(node.of, scope)
    if of is None:
        raise node.error(
            "Attempt to get attribute from null value",
            "This value is null, so it does not have any attributes.",
        )
    if isinstance(of, dict) or hasattr(of, "go_attribute"):
        try:
            if not isinstance(of, dict):
                return of.go_attribute(node.name)
            return of[node.name]
        except KeyError:
            raise node.error(
                "Unsupported attribute",
                f'This object does not have an attribute named "{node.name}".'
                + suggestion(node.name, of if isinstance(of, dict) else ()),
            ) from None
    raise node.error(
        "Unsupported attribute",
        f"Can't access attributes on a primitive-typed value ({kind(of)})."
        if not isinstance(of, list)
        else "This value does not have any attributes.",
    )


def _index(node: nodes.Index, scope: Scope) -> Any:
    of, key = evaluate(node.of, scope), evaluate(node.key, scope)
    if of is None:
        raise node.error(
            "Attempt to index null value", "This value is null, so it does not have any indices."
        )
    if isinstance(of, dict) or hasattr(of, "go_attribute"):
        try:
            name = to_string(key)
        except ValueProblem as problem:
            raise node.key.error("Invalid index", f"The given key is wrong: {problem}.") from None
        try:
            return of[name] if isinstance(of, dict) else of.go_attribute(name)
        except KeyError:
            raise node.key.error(
                "Invalid index",
                "The given key does not identify an element in this collection value.",
            ) from None
    if isinstance(of, list) and not isinstance(of, Set):
        try:
            position = to_number(key)
        except ValueProblem as problem:
            raise node.key.error("Invalid index", f"The given key is wrong: {problem}.") from None
        if not isinstance(position, int) or not 0 <= position < len(of):
            raise node.key.error(
                "Invalid index",
                "The given key does not identify an element in this collection value.",
            )
        return of[position]
    raise node.error("Invalid index", "This value does not have any indices.")


def _splat(node: nodes.Splat, scope: Scope) -> Any:
    of = evaluate(node.of, scope)
    if of is None:
        return []
    items = of if isinstance(of, list) else [of]
    return [evaluate(node.each, Scope({"": item}, outer=scope)) for item in items]


def _item(node: nodes.Item, scope: Scope) -> Any:
    return scope.value("")


def _call(node: nodes.Call, scope: Scope) -> Any:
    from pierhead.cli.bake.hcl.functions import LAZY, names

    if node.name in LAZY:
        return _lazy_call(node, scope)
    try:
        function = scope.function(node.name)
    except KeyError:
        raise node.error(
            "Call to unknown function",
            f'There is no function named "{node.name}".{suggestion(node.name, names())}',
        ) from None
    arguments = [evaluate(one, scope) for one in node.arguments]
    if node.spread:
        last = arguments.pop()
        if not isinstance(last, list):
            raise node.arguments[-1].error(
                "Invalid expanding argument value",
                "The expanding argument (indicated by ...) must be of a tuple, list, or set type.",
            )
        arguments += last
    try:
        return function(*arguments)
    except ValueProblem as problem:
        raise node.error(
            "Error in function call", f'Call to function "{node.name}" failed: {problem}.'
        ) from None
    except TypeError:
        raise node.error(
            "Wrong number of function arguments",
            f'Function "{node.name}" can\'t be called with {len(arguments)} arguments.',
        ) from None


def _lazy_call(node: nodes.Call, scope: Scope) -> Any:
    """``try`` and ``can`` take what their arguments would fail with; ``convert`` a type."""
    if node.name == "convert":
        from pierhead.cli.bake.hcl.types import constraint
        from pierhead.cli.bake.hcl.values import convert

        if len(node.arguments) != 2:
            raise node.error("Wrong number of function arguments", "A value and a type.")
        try:
            return convert(evaluate(node.arguments[0], scope), constraint(node.arguments[1]))
        except ValueProblem as problem:
            raise node.error(
                "Error in function call", f'Call to function "convert" failed: {problem}.'
            ) from None
    told = []
    for argument in node.arguments:
        try:
            value = evaluate(argument, scope)
        except nodes.HclError as error:
            told.append(str(error))
            continue
        return True if node.name == "can" else value
    if node.name == "can":
        return False
    raise node.error(
        "Error in function call",
        'Call to function "try" failed: no expression succeeded:\n- ' + "\n- ".join(told),
    )


def _unary(node: nodes.Unary, scope: Scope) -> Any:
    value = evaluate(node.of, scope)
    try:
        return not to_bool(value) if node.operator == "!" else -to_number(value)
    except ValueProblem as problem:
        raise node.of.error(
            "Invalid operand", f"Unsuitable value for unary operand: {problem}."
        ) from None


def _binary(node: nodes.Binary, scope: Scope) -> Any:
    operator = node.operator
    left = evaluate(node.left, scope)
    if operator in ("&&", "||"):
        first = _operand(node.left, left, "left", to_bool)
        if first is (operator == "||"):
            return first
        return _operand(node.right, evaluate(node.right, scope), "right", to_bool)
    right = evaluate(node.right, scope)
    if operator in ("==", "!="):
        return same(left, right) is (operator == "==")
    first = _operand(node.left, left, "left", to_number)
    second = _operand(node.right, right, "right", to_number)
    return arithmetic(node, operator, first, second)


def arithmetic(node: nodes.Node, operator: str, left: Any, right: Any) -> Any:
    """Numbers and one operator. Raises ``HclError``."""
    if operator in ("<", ">", "<=", ">="):
        return {
            "<": left < right,
            ">": left > right,
            "<=": left <= right,
            ">=": left >= right,
        }[operator]
    if operator == "+":
        return number(left + right)
    if operator == "-":
        return number(left - right)
    if operator == "*":
        return number(left * right)
    if right == 0:
        raise node.error("Division by zero", "Cannot divide by zero.")
    if operator == "/":
        exact = isinstance(left, int) and isinstance(right, int) and left % right == 0
        return left // right if exact else number(left / right)
    import math

    if isinstance(left, int) and isinstance(right, int):
        return int(math.copysign(abs(left) % abs(right), left)) if left % right else 0
    return number(math.fmod(left, right))


def _operand(node: nodes.Node, value: Any, side: str, to: Callable[[Any], Any]) -> Any:
    try:
        return to(value)
    except ValueProblem as problem:
        raise node.error(
            "Invalid operand", f"Unsuitable value for {side} operand: {problem}."
        ) from None


def _conditional(node: nodes.Conditional, scope: Scope) -> Any:
    return evaluate(node.yes if _truth(node.condition, scope) else node.no, scope)


def _tuple(node: nodes.Tuple, scope: Scope) -> Any:
    return [evaluate(one, scope) for one in node.items]


def _key(node: nodes.Node, value: Any) -> str:
    if value is None:
        raise node.error("Null value as key", "Can't use a null value as a key.")
    try:
        return to_string(value)
    except ValueProblem as problem:
        raise node.error(
            "Incorrect key type", f"Can't use this value as a key: {problem}."
        ) from None


def _object(node: nodes.Object, scope: Scope) -> Any:
    return {_key(key, evaluate(key, scope)): evaluate(value, scope) for key, value in node.items}


def _pairs(node: nodes.Node, scope: Scope) -> list[tuple[Any, Any]]:
    """Keys and values of what a ``for`` goes through."""
    value = evaluate(node, scope)
    if isinstance(value, Set):
        return [(one, one) for one in value]
    if isinstance(value, list):
        return list(enumerate(value))
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted(value)]
    if value is None:
        raise node.error("Iteration over null value", "A null value cannot be used in a 'for'.")
    raise node.error(
        "Iteration over non-iterable value",
        f"A value of type {kind(value)} cannot be used as the collection in a 'for' expression.",
    )


def _for(node: nodes.For, scope: Scope) -> Any:
    items: list[Any] = []
    pairs: dict[str, Any] = {}
    for key, value in _pairs(node.collection, scope):
        inner = Scope(
            {node.key: key, node.value: value} if node.key else {node.value: value}, outer=scope
        )
        if node.condition is not None and not _truth(node.condition, inner):
            continue
        result = evaluate(node.result, inner)
        if node.name is None:
            items.append(result)
            continue
        name = _key(node.name, evaluate(node.name, inner))
        if node.group:
            pairs.setdefault(name, []).append(result)
        elif name in pairs:
            raise node.error(
                "Duplicate object key",
                f"Two different items produced the key \"{name}\" in this 'for' expression.",
            )
        else:
            pairs[name] = result
    return items if node.name is None else pairs


_RULES: dict[type, Callable[[Any, Scope], Any]] = {
    nodes.Literal: _literal,
    nodes.Template: _template,
    nodes.TemplateIf: _template_if,
    nodes.TemplateFor: _template_for,
    nodes.Variable: _variable,
    nodes.Attribute: _attribute,
    nodes.Index: _index,
    nodes.Splat: _splat,
    nodes.Item: _item,
    nodes.Call: _call,
    nodes.Unary: _unary,
    nodes.Binary: _binary,
    nodes.Conditional: _conditional,
    nodes.Tuple: _tuple,
    nodes.Object: _object,
    nodes.For: _for,
}
