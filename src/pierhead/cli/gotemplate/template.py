"""A parsed template and how to get one: what the rest of the client uses."""

from __future__ import annotations

from pierhead.cli.gotemplate.docker import FUNCTIONS
from pierhead.cli.gotemplate.evaluator import execute
from pierhead.cli.gotemplate.functions import BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pierhead.cli.gotemplate.functions import Function
    from pierhead.cli.gotemplate.nodes import Tree
    from pierhead.cli.gotemplate.values import Value


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
    from pierhead.cli.gotemplate.parser import parse as parse_tree

    known = {**FUNCTIONS, **functions} if functions else FUNCTIONS
    return Template(parse_tree(text, name, {**BUILTINS, **known}), name, known)
