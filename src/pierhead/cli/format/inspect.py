"""``inspect`` of any object: indented JSON, compact JSON, or a template.

The daemon's bytes are kept: order, numbers and escapes are shown as it sent them.
A template is tried on typed data first (Go names, ``{{.ID}}``), then, as docker
does, on the raw JSON (``{{.Id}}``), where a missing key is an error.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from pierhead.cli.gotemplate import Template
    from pierhead.cli.main import Cli


#: Fields that Go's types print in another way than the JSON reads: times, durations.
_TYPED_FIELDS = frozenset(
    (
        "Created",
        "End",
        "Interval",
        "LastTagTime",
        "Start",
        "StartInterval",
        "StartPeriod",
        "Timeout",
    )
)


class Inspector:
    """Collects objects, then gives the text for all of them.

    ``template`` '' prints indented JSON, ``json`` compact JSON. ``typed_only`` shows
    what the types make of the JSON instead of the text (``volume inspect``). Raises
    ``TemplateError`` (``template parsing error: ...``) for a bad template.
    """

    def __init__(self, template: str = "", *, typed_only: bool = False) -> None:
        self._raw: list[str] = []
        self._out: list[str] = []
        self._source = template
        self._template: Template | None = None
        self._typed_only = typed_only
        self._paths = _simple_paths(template)
        if template not in ("", "json") and self._paths is None:
            self._template = _parse(template)

    def add(self, raw: bytes | str, kind: str = "") -> None:
        """Add an object: its JSON, and what it is (``container``, ``image``, ``network``,
        ``volume`` or nothing).

        Raises ``TemplateError``; the object is left out then.
        """
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        if self._typed_only:
            text = _retyped(text, kind)
        if self._source in ("", "json"):
            self._raw.append(text.strip())
            return
        line = _look_up(self._paths, text) if self._paths is not None else None
        if line is None:
            if self._template is None:
                self._template = _parse(self._source)
            line = execute(self._template, text, kind, self._typed_only)
        self._out.append(line + "\n")

    def flush(self) -> str:
        """Everything added, as it goes to stdout."""
        if self._source not in ("", "json"):
            return "".join(self._out) or "\n"
        if not self._raw:
            return "[]\n"
        from pierhead.cli.gotemplate.json_text import compact, indent

        text = "[" + ",".join(self._raw) + "]"
        return (compact(text) if self._source == "json" else indent(text)) + "\n"


def _parse(source: str) -> Template:
    from pierhead.cli.gotemplate import TemplateError, parse

    try:
        return parse(source)
    except TemplateError as error:
        raise TemplateError(f"template parsing error: {error}") from error


def _simple_paths(source: str) -> list[tuple[str, list[str]]] | None:
    """Text and field path in turn, if there is nothing but ``{{.A.B}}`` in the template.

    Most scripts ask so, and such a template needs no template language.
    """
    parts: list[tuple[str, list[str]]] = []
    at = 0
    while (opening := source.find("{{", at)) >= 0:
        closing = source.find("}}", opening)
        if closing < 0 or source[opening + 2 : opening + 3] != ".":
            return None
        names = source[opening + 3 : closing].split(".")
        if not all(name.isidentifier() and name.isascii() for name in names):
            return None
        if names[-1] in _TYPED_FIELDS:
            return None
        parts.append((source[at:opening], names))
        at = closing + 2
    parts.append((source[at:], []))
    return parts if len(parts) > 1 else None


def _look_up(parts: list[tuple[str, list[str]]], raw: str) -> str | None:
    """The template's text if every path leads to a text, whole number or truth value
    under its JSON name: then types make no difference. Else None."""
    from pierhead.client.json_fast import loads

    data = loads(raw)
    out: list[str] = []
    for before, names in parts:
        out.append(before)
        value = data
        for name in names:
            if not isinstance(value, dict) or name not in value:
                return None
            value = value[name]
        if not names:
            continue
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int):
            value = str(value)
        elif not isinstance(value, str):
            return None
        out.append(value)
    return "".join(out)


def execute(template: Template, raw: str, kind: str, typed_only: bool = False) -> str:
    """The template over one object: typed, then raw. Raises ``TemplateError``."""
    from pierhead.cli.format.go_types import typed
    from pierhead.cli.gotemplate import TemplateError
    from pierhead.client.json_fast import loads

    if kind:
        try:
            return template.execute(typed(loads(raw), kind))
        except TemplateError as error:
            if typed_only:
                raise TemplateError(f"template parsing error: {error}") from error
    try:
        return template.execute(load_raw(raw), missing_key_error=True)
    except TemplateError as error:
        raise TemplateError(f"template parsing error: {error}") from error


def _retyped(raw: str, kind: str) -> str:
    from pierhead.cli.format.go_types import typed
    from pierhead.cli.gotemplate.json_text import encode
    from pierhead.client.json_fast import loads

    return encode(typed(loads(raw), kind))


def load_raw(text: str) -> Any:
    """JSON with its numbers as ``json.Number``, as Go's decoder with UseNumber."""
    from _json import make_scanner

    from pierhead.cli.gotemplate import Number

    class Settings:
        strict = False
        object_hook = object_pairs_hook = None
        parse_float = parse_int = parse_constant = Number
        memo: ClassVar[dict[str, str]] = {}

    value, _ = make_scanner(Settings)(text, 0)  # type: ignore[arg-type]
    return value


def print_inspect(cli: Cli, objects: list[Any], *, format: str, kind: str = "") -> None:
    """Write objects that were decoded already (see :class:`Inspector` for raw ones)."""
    from pierhead.cli.errors import CliError
    from pierhead.client.json_fast import dumps

    errors: list[str] = []
    inspector = make_inspector(format)
    for item in objects:
        try:
            inspector.add(item if isinstance(item, (str, bytes)) else dumps(item), kind)
        except Exception as error:
            if type(error).__name__ != "TemplateError":
                raise
            errors.append(str(error))
    cli.out(inspector.flush())
    if errors:
        raise CliError("\n".join(errors))


def make_inspector(template: str, *, typed_only: bool = False) -> Inspector:
    """An inspector; a template that does not parse ends the command with code 64."""
    from pierhead.cli.errors import CliError

    try:
        return Inspector(template, typed_only=typed_only)
    except Exception as error:
        if type(error).__name__ != "TemplateError":
            raise
        raise CliError(str(error), 64) from error
