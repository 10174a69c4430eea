"""Bake files put together: variables, functions, groups, targets. No IO.

``Module`` takes the bodies of all HCL and JSON files in order. Variables and attributes of
targets are worked out when they are asked for, since they may name each other. Rules as in
buildx's ``bake/hclparser``.
"""

from __future__ import annotations

from pierhead.cli.bake.hcl import nodes
from pierhead.cli.bake.hcl.evaluate import Scope, evaluate, suggestion
from pierhead.cli.bake.hcl.types import constraint
from pierhead.cli.bake.hcl.values import ValueProblem, convert, kind, to_string
from pierhead.cli.bake.target import BOOLS, ENTRIES, FIELDS, LISTS, MAPS, BakeProblem, entries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from pierhead.cli.bake.hcl.values import Type
    from pierhead.cli.bake.target import Target

#: Blocks with labels -> how many
BLOCKS = {"variable": 1, "function": 1, "group": 1, "target": 1}
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_NAME_TEXT = "[a-zA-Z0-9_-]+"


class VariableDefinition:
    """One ``variable`` block."""

    __slots__ = ("default", "description", "name", "type", "validations", "where")

    def __init__(self, block: nodes.Block) -> None:
        self.where = block
        self.name = block.labels[0]
        self.default: nodes.Node | None = None
        self.description = ""
        self.type: Type | None = None
        self.validations: list[tuple[nodes.Node, nodes.Node | None]] = []
        for name, given in block.body.attributes.items():
            if name == "default":
                self.default = given.expression
            elif name == "description":
                self.description = str(evaluate(given.expression, Scope()))
            elif name == "type":
                self.type = _type_of(given.expression)
            else:
                raise unexpected(given, name, ("default", "description", "type"))
        for inner in block.body.blocks:
            if inner.type != "validation":
                raise inner.error(
                    "Unsupported block type",
                    f'Blocks of type "{inner.type}" are not expected here.',
                )
            condition = inner.body.attributes.get("condition")
            if condition is None:
                raise inner.error("Missing required argument", '"condition" is required.')
            message = inner.body.attributes.get("error_message")
            told = None if message is None else message.expression
            self.validations.append((condition.expression, told))


def _type_of(node: nodes.Node) -> Type | None:
    """The type; JSON files write it as text, null is none."""
    if isinstance(node, nodes.Literal):
        if node.value is None:
            return None
        if isinstance(node.value, str):
            from pierhead.cli.bake.hcl.jsonfile import expression

            return constraint(expression(node.value, node.source.name))
    return constraint(node)


def unexpected(given: nodes.Assignment, name: str, known: Iterable[str]) -> nodes.HclError:
    """An argument that has no business there."""
    return given.error(
        "Unsupported argument",
        f'An argument named "{name}" is not expected here.{suggestion(name, known)}',
    )


class _Instance:
    """A target block with the variables of one combination of its matrix."""

    __slots__ = ("block", "cache", "name", "progress", "scope")

    def __init__(self, block: nodes.Block, name: str, scope: Scope) -> None:
        self.block = block
        self.name = name
        self.scope = scope
        self.cache: dict[str, Any] = {}
        self.progress: set[str] = set()


class _Reference:
    """``target`` or ``group`` in an expression; blocks by name, their fields worked out late."""

    def __init__(self, find: Callable[[str], Any]) -> None:
        self._find = find

    def go_attribute(self, name: str) -> Any:
        """Raises ``KeyError``."""
        return self._find(name)


class Module:
    """All files. ``lookup`` gives an override of a variable (``--var``, environment) or None."""

    def __init__(
        self,
        bodies: Iterable[nodes.Body],
        builtin: Mapping[str, str],
        lookup: Callable[[str], str | None],
    ) -> None:
        self._builtin = builtin
        self._lookup = lookup
        self.variables: dict[str, VariableDefinition] = {}
        self._functions: dict[str, nodes.Block] = {}
        self._made: dict[str, Callable[..., Any]] = {}
        self._attributes: dict[str, nodes.Assignment] = {}
        self._values: dict[str, Any] = {}
        self._progress: set[str] = set()
        self._blocks: list[nodes.Block] = []
        self._instances: dict[str, dict[str, list[_Instance]]] = {"group": {}, "target": {}}
        #: Label of a target with a matrix -> the names it made.
        self.renamed: dict[str, list[str]] = {}
        for body in bodies:
            self._take(body)
        self._scope = Scope(find=self._value, functions=self._function, known=self._known)

    def _take(self, body: nodes.Body) -> None:
        self._attributes.update(body.attributes)
        for block in body.blocks:
            wanted = BLOCKS.get(block.type)
            if wanted is None:
                continue  # as buildx: what other tools keep here is theirs
            if len(block.labels) != wanted:
                raise block.error(
                    "Missing name for " + block.type
                    if not block.labels
                    else "Extraneous label for " + block.type,
                    f"All {block.type} blocks must have 1 labels (name).",
                )
            if block.type == "variable":
                self.variables[block.labels[0]] = VariableDefinition(block)
            elif block.type == "function":
                self._functions[block.labels[0]] = block
            else:
                self._blocks.append(block)

    # Names

    def _known(self) -> list[str]:
        return [*self.variables, *self._attributes, *self._builtin]

    def _value(self, name: str) -> Any:
        """A variable or global attribute. Raises ``KeyError`` for others."""
        if name in self._values:
            return self._values[name]
        if name in ("target", "group"):
            return _Reference(lambda label: self._reference(name, label))
        if name in self._builtin:
            return self._builtin[name]
        if name not in self._attributes and name not in self.variables:
            raise KeyError(name)
        if name in self._progress:
            raise BakeProblem(f"variable cycle not allowed for {name}")
        self._progress.add(name)
        try:
            if name in self._attributes:
                value = evaluate(self._attributes[name].expression, self._scope)
            else:
                value = self._variable(self.variables[name])
        except BakeProblem as problem:
            where = self.variables.get(name)
            if where is None:
                raise
            raise where.where.error("Invalid value", str(problem)) from None
        finally:
            self._progress.discard(name)
        self._values[name] = value
        return value

    def value(self, name: str) -> Any:
        """A variable's value. Raises ``KeyError``, ``HclError``."""
        return self._value(name)

    def _variable(self, definition: VariableDefinition) -> Any:
        from pierhead.cli.bake.variables import from_text

        name, type = definition.name, definition.type
        text, as_json = self._override(name, typed=type is not None)
        if definition.default is None and text is None:
            return None if type is not None else ""
        value: Any = None
        if definition.default is not None:
            value = evaluate(definition.default, self._scope)
            if type is not None:
                try:
                    value = convert(value, type)
                except ValueProblem:
                    from pierhead.cli.bake.hcl.values import friendly

                    raise BakeProblem(
                        f"invalid type {friendly(type)} for variable {name} default value"
                    ) from None
        if text is None:
            return value
        has_default = definition.default is not None
        return from_text(name, text, type, value, has_default=has_default, as_json=as_json)

    def _override(self, name: str, *, typed: bool) -> tuple[str | None, bool]:
        """The text that replaces a variable's default, and whether it is JSON."""
        text = self._lookup(name)
        if text is None or typed:
            other = name + "_JSON"
            if other not in self.variables and other not in self._builtin:
                found = self._lookup(other)
                if found is not None:
                    return found, True
        return text, False

    def validate(self) -> None:
        """Work out all variables and functions, check their rules. Raises ``HclError``."""
        for name, definition in self.variables.items():
            self._value(name)
            for condition, message in definition.validations:
                self._check(condition, message)
        for name in self._functions:
            self._function(name)
        for name in self._attributes:
            self._value(name)

    def _check(self, condition: nodes.Node, message: nodes.Node | None) -> None:
        result = evaluate(condition, self._scope)
        if result is None:
            raise condition.error(
                "Invalid condition result",
                "Condition expression must return either true or false, not null.",
            )
        try:
            passed = convert(result, "bool")
        except ValueProblem as problem:
            raise condition.error(
                "Invalid condition result", f"Invalid condition result value: {problem}"
            ) from None
        if not passed:
            told = "This check failed, but has an invalid error message."
            if message is not None:
                told = to_string(evaluate(message, self._scope))
            raise condition.error("Validation failed", told)

    # Functions

    def _function(self, name: str) -> Callable[..., Any]:
        """Raises ``KeyError`` for names that are no functions."""
        if name not in self._made:
            block = self._functions.get(name)
            if block is None:
                from pierhead.cli.bake.hcl.functions import table

                for key, function in table().items():
                    if key not in self._functions:
                        self._made[key] = function
                return self._made[name]
            self._made[name] = self._own(name, block)
        return self._made[name]

    def _own(self, name: str, block: nodes.Block) -> Callable[..., Any]:
        given = block.body.attributes
        for key in given:
            if key not in ("params", "variadic_params", "result"):
                raise unexpected(given[key], key, ("params", "variadic_params", "result"))
        if "result" not in given or "params" not in given:
            missing = "result" if "result" not in given else "params"
            raise block.error("Invalid function", f"empty {missing} not allowed for {name}")
        params = given["params"].expression
        if not isinstance(params, nodes.Tuple):
            raise params.error("Invalid params", "A list of names is required.")
        parameters = [_parameter(one) for one in params.items]
        variadic = ""
        if "variadic_params" in given:
            variadic = _parameter(given["variadic_params"].expression)
        result = given["result"].expression
        running: list[str] = []

        def function(*arguments: Any) -> Any:
            if len(arguments) < len(parameters) or (
                len(arguments) > len(parameters) and not variadic
            ):
                raise ValueProblem(
                    f"{len(parameters)} arguments are required, not {len(arguments)}"
                )
            if len(running) > 50:
                raise ValueProblem(f"function cycle not allowed for {name}")
            names = dict(zip(parameters, arguments, strict=False))
            if variadic:
                names[variadic] = list(arguments[len(parameters) :])
            running.append(name)
            try:
                return evaluate(result, Scope(names, outer=self._scope))
            finally:
                running.pop()

        return function

    # Groups and targets

    def _reference(self, type: str, label: str) -> Any:
        found = self._instances[type].get(label)
        if not found:
            raise KeyError(label)
        return _Reference(lambda field: self._referred(found, field))

    def _referred(self, instances: list[_Instance], field: str) -> Any:
        """The last block that sets a field has it."""
        for instance in reversed(instances):
            if field in instance.block.body.attributes:
                return self._field(instance, field)
        raise KeyError(field)

    def _field(self, instance: _Instance, field: str) -> Any:
        if field in instance.cache:
            return instance.cache[field]
        if field in instance.progress:
            raise BakeProblem(
                f"reference cycle not allowed for {instance.block.type}.{instance.name}.{field}"
            )
        instance.progress.add(field)
        try:
            given = instance.block.body.attributes[field]
            value = evaluate(given.expression, instance.scope)
            instance.cache[field] = value
        finally:
            instance.progress.discard(field)
        return value

    def read(self) -> tuple[dict[str, dict[str, Any]], dict[str, Target]]:
        """(groups, targets) by name, in order, blocks of one name merged. Raises ``HclError``."""
        from pierhead.cli.bake.target import merge

        for block in self._blocks:
            for instance in self._expand(block):
                names = self._instances[block.type].setdefault(instance.name, [])
                names.append(instance)
        groups: dict[str, dict[str, Any]] = {}
        targets: dict[str, Target] = {}
        for block in self._blocks:
            if block.type == "group":
                for instance in self._of(block):
                    groups[instance.name] = self._group(instance)
                continue
            for instance in self._of(block):
                found = self._target(instance)
                if instance.name in targets:
                    merge(targets[instance.name], found)
                else:
                    targets[instance.name] = found
        return groups, targets

    def _of(self, block: nodes.Block) -> list[_Instance]:
        return [
            instance
            for instances in self._instances[block.type].values()
            for instance in instances
            if instance.block is block
        ]

    def _expand(self, block: nodes.Block) -> list[_Instance]:
        """A block, or one for each combination of its matrix."""
        label = block.labels[0]
        given = block.body.attributes
        _check_name(block, label)
        if "matrix" not in given:
            if "name" in given:
                raise block.error("Invalid name", "name requires matrix")
            return [_Instance(block, label, self._scope)]
        if block.type == "group":
            raise block.error("Invalid name", "matrix is not supported for groups")
        matrix = evaluate(given["matrix"].expression, self._scope)
        if not isinstance(matrix, dict):
            raise block.error("Invalid name", "matrix must be a map")
        combinations: list[dict[str, Any]] = [{}]
        for key in sorted(matrix):
            if not isinstance(matrix[key], (list, dict)):
                raise block.error("Invalid name", "matrix values must be a list")
            choices = matrix[key]
            if isinstance(choices, dict):
                choices = [choices[one] for one in sorted(choices)]
            combinations = [{**one, key: choice} for choice in choices for one in combinations]
        found: list[_Instance] = []
        names: list[str] = []
        for combination in combinations:
            scope = Scope(combination, outer=self._scope)
            name = label
            if "name" in given:
                value = evaluate(given["name"].expression, scope)
                try:
                    name = to_string(value)
                except ValueProblem as problem:
                    raise given["name"].error("Invalid name", str(problem)) from None
                _check_name(block, name)
            if name in names:
                raise block.error("Invalid name", f'duplicate name "{name}"')
            names.append(name)
            found.append(_Instance(block, name, scope))
        self.renamed[label] = [*self.renamed.get(label, ()), *names]
        return found

    def _group(self, instance: _Instance) -> dict[str, Any]:
        given = instance.block.body.attributes
        if "targets" not in given:
            raise instance.block.error(
                "Missing required argument",
                'The argument "targets" is required, but no definition was found.',
            )
        group: dict[str, Any] = {
            "targets": self._strings(given["targets"], self._field(instance, "targets"))
        }
        if "description" in given:
            group["description"] = str(self._field(instance, "description"))
        return group

    def _target(self, instance: _Instance) -> Target:
        target: Target = {}
        given = instance.block.body.attributes
        for key in given:
            if key in ("matrix", "name"):
                continue
            if key not in FIELDS:
                continue  # as buildx
            value = self._field(instance, key)
            if value is not None:
                target[key] = self._typed(given[key], key, value)
        return target

    def _typed(self, given: nodes.Assignment, field: str, value: Any) -> Any:
        """A field's value in the form it is kept in."""
        try:
            if field in LISTS:
                return self._strings(given, value)
            if field in BOOLS:
                return convert(value, "bool")
            if field in MAPS:
                if not isinstance(value, dict):
                    raise ValueProblem(f"map of string required, not {kind(value)}")
                return {key: None if one is None else to_string(one) for key, one in value.items()}
            if field in ENTRIES:
                if not isinstance(value, list):
                    raise ValueProblem(f"a list is required, not {kind(value)}")
                return entries(field, value)
            return to_string(value)
        except (ValueProblem, ValueError) as problem:
            raise given.expression.error(
                "Unsuitable value type", f"Unsuitable value: {problem}"
            ) from None

    def _strings(self, given: nodes.Assignment, value: Any) -> list[str]:
        try:
            found: list[str] = convert(value, ("list", "string"))
        except ValueProblem as problem:
            raise given.expression.error(
                "Unsuitable value type", f"Unsuitable value: {problem}"
            ) from None
        if any(one is None for one in found):
            raise given.expression.error(
                "Unsuitable value type", "Unsuitable value: null value is not allowed"
            )
        return found


def _parameter(node: nodes.Node) -> str:
    if isinstance(node, nodes.Variable):
        return node.name
    if isinstance(node, nodes.Literal) and isinstance(node.value, str):
        return node.value
    raise node.error("Invalid param element", "Each parameter name must be an identifier.")


def _check_name(block: nodes.Block, name: str) -> None:
    if not name or not set(name) <= _NAME:
        raise block.error("Invalid name", f'only "{_NAME_TEXT}" are allowed')
