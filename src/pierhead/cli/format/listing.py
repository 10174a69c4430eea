"""Lists of objects: docker's ``--format`` with table, json, raw and templates.

A row is a :class:`Row`: an object whose capitalised methods are the fields, as
docker's Go types have methods. Templates that only name fields, as every default
table does, are rendered without loading the template language.
"""

from __future__ import annotations

from pierhead.cli.format.tabwriter import tabwriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, ClassVar

    from pierhead.cli.main import Cli

    Part = tuple[str, str]


class Row:
    """One line of a list. Subclasses define methods named as docker's fields.

    ``METHOD_ARGUMENTS`` names those with parameters (Go types); the others are in
    ``json``. ``GO_TYPE`` is what errors call the type.
    """

    GO_TYPE: ClassVar[str] = "*formatter.Context"
    METHOD_ARGUMENTS: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def go_method(self, name: str) -> Callable[..., Any] | None:
        """The field's method, or None."""
        if not name[:1].isupper() or name == "GO_TYPE" or name == "METHOD_ARGUMENTS":
            return None
        if not callable(getattr(type(self), name, None)):
            return None
        method: Callable[..., Any] = getattr(self, name)
        return method

    def go_json(self) -> dict[str, Any]:
        """All fields by name."""
        out: dict[str, Any] = {}
        for name in sorted(dir(type(self))):
            method = self.go_method(name)
            if method is not None and name not in self.METHOD_ARGUMENTS:
                out[name] = method()
        return out


class DictRow(Row):
    """A row made of a dict of field name to text (or a value, for ``json``)."""

    def __init__(self, fields: Mapping[str, Any], go_type: str) -> None:
        self._fields = fields
        self.GO_TYPE = go_type  # type: ignore[misc]

    def go_method(self, name: str) -> Callable[..., Any] | None:
        if name not in self._fields:
            return None
        return lambda: self._fields[name]

    def go_json(self) -> dict[str, Any]:
        return dict(self._fields)


def simple_parts(template: str) -> list[Part] | None:
    """Text and field names in turn, if the template has nothing but ``{{.Field}}``."""
    parts: list[Part] = []
    at = 0
    while (opening := template.find("{{", at)) >= 0:
        closing = template.find("}}", opening)
        name = template[opening + 3 : closing]
        if closing < 0 or template[opening + 2 : opening + 3] != "." or not name.isidentifier():
            return None
        if not name.isascii():
            return None
        parts.append((template[at:opening], name))
        at = closing + 2
    parts.append((template[at:], ""))
    return parts


def _template_of(source: str) -> str:
    if source.startswith("table"):
        source = source[len("table") :]
    elif source == "json":
        return "{{json .}}"
    return source.strip(" ").replace("\\t", "\t").replace("\\n", "\n")


def render(source: str, rows: Iterable[Row], headers: Mapping[str, str]) -> str:
    """The list as text: ``source`` is ``table TEMPLATE``, ``json`` or a template.

    Raises ``TemplateError`` with docker's ``template parsing error: ...``.
    """
    template = _template_of(source)
    is_table = source.startswith("table")
    parts = simple_parts(template)
    text = None
    if parts is not None:
        text = _render_simple(parts, rows := list(rows), headers, is_table)
    if text is None:
        text = _render_template(template, rows, headers, is_table)
    return tabwriter(text) if is_table else text


def _render_simple(
    parts: list[Part], rows: Sequence[Row], headers: Mapping[str, str], is_table: bool
) -> str | None:
    out: list[str] = []
    if is_table:
        for before, name in parts:
            out.append(before)
            if name:
                if name not in headers:
                    return None
                out.append(headers[name])
        out.append("\n")
    for row in rows:
        for before, name in parts:
            out.append(before)
            if name:
                method = row.go_method(name)
                if method is None or name in row.METHOD_ARGUMENTS:
                    return None
                value = method()
                if not isinstance(value, str):
                    return None
                out.append(value)
        out.append("\n")
    return "".join(out)


def _render_template(
    template: str, rows: Iterable[Row], headers: Mapping[str, str], is_table: bool
) -> str:
    from pierhead.cli.gotemplate import TemplateError, parse

    out: list[str] = []
    try:
        parsed = parse(template)
        for row in rows:
            out += (parsed.execute(row), "\n")
    except TemplateError as error:
        raise TemplateError(f"template parsing error: {error}") from error
    if not is_table:
        return "".join(out)
    from pierhead.cli.gotemplate.docker import HEADER_FUNCTIONS
    from pierhead.cli.gotemplate.values import HeaderMap

    try:
        head = parsed.execute(HeaderMap(headers), functions=HEADER_FUNCTIONS)
    except TemplateError as error:  # docker prints as much of it as there is
        head = error.partial
    return "".join([head, "\n", *out])


def write_list(cli: Cli, source: str, rows: Iterable[Row], headers: Mapping[str, str]) -> None:
    """Render and write; a template's fault is the command's error (exit code 1)."""
    from pierhead.cli.errors import CliError

    try:
        text = render(source, rows, headers)
    except Exception as error:
        if type(error).__name__ != "TemplateError":
            raise
        raise CliError(str(error)) from error
    cli.out(text)


def print_list(
    cli: Cli,
    rows: Iterable[Mapping[str, Any]],
    *,
    format: str,
    table: str,
    headers: Mapping[str, str],
    quiet_field: str | None = None,
    go_type: str = "*formatter.Context",
) -> None:
    """Write rows given as dicts; ``format`` '' or 'table' means the ``table`` template.

    ``quiet_field`` prints that field alone and wins over ``format``.
    """
    source = format
    if quiet_field is not None:
        source = "{{." + quiet_field + "}}"
    elif format in ("", "table"):
        source = table
    write_list(cli, source, [DictRow(row, go_type) for row in rows], headers)
