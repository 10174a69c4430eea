"""Go's ``text/template``, as docker's ``--format`` uses it.

::

    template = parse("{{.Name}}: {{json .Labels}}")
    text = template.execute({"Name": "web", "Labels": {"a": "b"}})

Pure computation: text and data in, text out. The pieces, in the order in which data
goes through them: ``lexer``, ``parser`` (to ``nodes``), ``evaluator`` (with
``functions`` and docker's in ``docker``), ``printing`` and ``formatter`` (Go's fmt),
``json_text`` (Go's JSON). ``values`` says how Go values look in Python.

Nothing here imports more than it needs to begin with: a client starts in milliseconds.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pierhead.cli.gotemplate.errors import TemplateError
    from pierhead.cli.gotemplate.functions import Function
    from pierhead.cli.gotemplate.nodes import Tree
    from pierhead.cli.gotemplate.values import GoStruct, Number, Value

__all__ = [
    "Function",
    "GoStruct",
    "Number",
    "Template",
    "TemplateError",
    "parse",
]


_HOMES = {
    "Function": "functions",
    "GoStruct": "values",
    "Number": "values",
    "TemplateError": "errors",
}


def __getattr__(name: str) -> object:
    """The names of other modules, imported on use (PEP 562): ``quoting`` or ``values``
    alone must not bring the parser along."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import sys

    module = f"{__name__}.{_HOMES[name]}"
    __import__(module)
    value: object = getattr(sys.modules[module], name)
    return value


class Template:
    """A parsed template; can be executed any number of times."""

    __slots__ = ("_functions", "_name", "_trees")

    def __init__(
        self, trees: dict[str, Tree], name: str, functions: Mapping[str, Function]
    ) -> None:
        self._trees = trees
        self._name = name
        self._functions = functions

    def execute(
        self,
        data: Value,
        *,
        missing_key_error: bool = False,
        functions: Mapping[str, Function] | None = None,
    ) -> str:
        """The text for ``data``. Raises :class:`TemplateError`.

        ``missing_key_error`` is Go's option ``missingkey=error``; ``functions``
        stand in for those that the template was parsed with.
        """
        from pierhead.cli.gotemplate.evaluator import execute

        return execute(
            self._trees,
            self._name,
            data,
            self._functions if functions is None else functions,
            missing_key_error=missing_key_error,
        )


def parse(
    text: str, *, name: str = "", functions: Mapping[str, Function] | None = None
) -> Template:
    """Parse a template; docker's functions are there, ``functions`` come on top.

    Raises :class:`TemplateError`, e.g. ``template: :1: unclosed action``.
    """
    from pierhead.cli.gotemplate.docker import FUNCTIONS
    from pierhead.cli.gotemplate.functions import BUILTINS
    from pierhead.cli.gotemplate.parser import parse as parse_tree

    known = {**FUNCTIONS, **functions} if functions else FUNCTIONS
    return Template(parse_tree(text, name, {**BUILTINS, **known}), name, known)
