"""What goes wrong in a template: one exception, with Go's wording as its text."""

from __future__ import annotations


class TemplateError(Exception):
    """A template that does not parse, or does not fit the data.

    ``str(error)`` is what Go's ``text/template`` says, so scripts that match on
    docker's messages match on ours: ``template: :1: unclosed action``. ``partial``
    is what had been written when the execution failed.
    """

    partial = ""


class FunctionError(Exception):
    """A template function refused its arguments; the evaluator adds where."""
