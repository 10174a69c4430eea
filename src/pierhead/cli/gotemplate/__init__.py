"""Go's ``text/template``, as docker's ``--format`` uses it.

::

    template = parse("{{.Name}}: {{json .Labels}}")
    text = template.execute({"Name": "web", "Labels": {"a": "b"}})

Pure computation: text and data in, text out. The pieces, in the order in which data
goes through them: ``lexer``, ``parser`` (to ``nodes``), ``evaluator`` (with
``functions`` and docker's in ``docker``), ``printing`` and ``formatter`` (Go's fmt),
``json_text`` (Go's JSON). ``values`` says how Go values look in Python.

The names are loaded when they are first used: a client starts in milliseconds, and
most commands need one small piece of this or none.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.gotemplate.errors import TemplateError
    from pierhead.cli.gotemplate.functions import Function
    from pierhead.cli.gotemplate.template import Template, parse
    from pierhead.cli.gotemplate.values import GoStruct, Number

__all__ = ["Function", "GoStruct", "Number", "Template", "TemplateError", "parse"]

_HOMES = {
    "Function": "functions",
    "GoStruct": "values",
    "Number": "values",
    "Template": "template",
    "TemplateError": "errors",
    "parse": "template",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = __import__(f"{__name__}.{home}", fromlist=[name])
    value: object = getattr(module, name)
    globals()[name] = value
    return value
