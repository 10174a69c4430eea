"""``inspect`` of any object: indented JSON, compact JSON, or a template.

The daemon's bytes are kept: order, numbers and escapes are shown as it sent them.
A template is tried on typed data first (Go names, ``{{.ID}}``), then, as docker
does, on the raw JSON (``{{.Id}}``), where a missing key is an error.
"""

from __future__ import annotations

from pierhead.cli.gotemplate.json_text import compact, indent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from pierhead.cli.gotemplate import Template
    from pierhead.cli.main import Cli


class Inspector:
    """Collects objects, then gives the text for all of them.

    ``template`` '' prints indented JSON, ``json`` compact JSON. ``typed_only`` shows
    what the types make of the JSON instead of the text (``volume inspect``). Raises
    ``TemplateError`` (``template parsing error: ...``) for a bad template.
    """

    def __init__(self, template: str = "", *, typed_only: bool = False) -> None:
        self._raw: list[str] = []
        self._out: list[str] = []
        self._template: Template | None = None
        self._compact = template == "json"
        self._typed_only = typed_only
        if template and not self._compact:
            from pierhead.cli.gotemplate import TemplateError, parse

            try:
                self._template = parse(template)
            except TemplateError as error:
                raise TemplateError(f"template parsing error: {error}") from error

    def add(self, raw: bytes | str, kind: str = "") -> None:
        """Add an object: its JSON, and what it is (``container``, ``image``, ``network``,
        ``volume`` or nothing).

        Raises ``TemplateError``; the object is left out then.
        """
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        if self._typed_only:
            text = _retyped(text, kind)
        if self._template is None:
            self._raw.append(text.strip())
            return
        self._out.append(execute(self._template, text, kind, self._typed_only) + "\n")

    def flush(self) -> str:
        """Everything added, as it goes to stdout."""
        if self._template is not None:
            return "".join(self._out) or "\n"
        if not self._raw:
            return "[]\n"
        text = "[" + ",".join(self._raw) + "]"
        return (compact(text) if self._compact else indent(text)) + "\n"


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
