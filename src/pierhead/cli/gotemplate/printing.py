"""Go's ``fmt``: ``Sprint``, ``Sprintln``, ``Sprintf`` on the values of ``values``.

Flags, widths, argument indexes and the ``%!d(string=hi)`` complaints are Go's,
because templates use them and their texts reach users.
"""

from __future__ import annotations

from pierhead.cli.gotemplate.formatter import Formatter
from pierhead.cli.gotemplate.values import is_integer, type_name, unwrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pierhead.cli.gotemplate.values import Value

_TOO_LARGE = 1_000_000


def sprint(arguments: Sequence[Value]) -> str:
    """Operands as ``%v``, with a space between two that are not strings."""
    if len(arguments) == 1:
        return display(arguments[0])
    out: list[str] = []
    previous_is_text = True
    for argument in arguments:
        argument = unwrap(argument)
        is_text = isinstance(argument, str)
        if out and not is_text and not previous_is_text:
            out.append(" ")
        out.append(display(argument))
        previous_is_text = is_text
    return "".join(out)


def sprintln(arguments: Sequence[Value]) -> str:
    """Operands as ``%v`` with spaces between all of them, and a newline."""
    return " ".join([display(argument) for argument in arguments]) + "\n"


def display(value: Value) -> str:
    """One value as ``%v``; the common kinds without the machinery."""
    value = unwrap(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    formatter = Formatter()
    formatter.print_argument(value, "v")
    return formatter.text()


def sprintf(template: str, arguments: Sequence[Value]) -> str:
    """``fmt.Sprintf``."""
    return _Printf(template, [unwrap(argument) for argument in arguments]).run()


class _Printf:
    def __init__(self, template: str, arguments: list[Any]) -> None:
        self._template = template
        self._arguments = arguments
        self._out = Formatter()
        self._at = 0
        self._argument = 0
        self._reordered = False
        self._good_index = True
        self._after_index = False

    def run(self) -> str:
        template, out = self._template, self._out
        while self._at < len(template):
            percent = template.find("%", self._at)
            if percent < 0:
                out.write(template[self._at :])
                break
            out.write(template[self._at : percent])
            self._at = percent + 1
            if not self._directive():
                break
        if not self._reordered and self._argument < len(self._arguments):
            self._extra()
        return out.text()

    def _directive(self) -> bool:
        """One directive, its percent sign read; False if the text ended in it."""
        template, out = self._template, self._out
        out.clear_flags()
        self._good_index = True
        self._after_index = False
        while self._at < len(template) and template[self._at] in "#0+- ":
            out.set_flag(template[self._at])
            self._at += 1
        self._index()
        if self._is("*"):
            self._at += 1
            width = self._star()
            if width is None:
                out.write("%!(BADWIDTH)")
            else:
                out.set_width(width)
            self._after_index = False
        else:
            width = self._digits()
            out.width = width
            if self._after_index and width is not None:
                self._good_index = False
        if self._is(".") and self._at + 1 < len(template):
            self._precision()
        if not self._after_index:
            self._index()
        if self._at >= len(template):
            out.write("%!(NOVERB)")
            return False
        verb = template[self._at]
        self._at += 1
        self._verb(verb)
        return True

    def _verb(self, verb: str) -> None:
        out = self._out
        if verb == "%":
            out.write("%")
        elif not self._good_index:
            out.write(f"%!{verb}(BADINDEX)")
        elif self._argument >= len(self._arguments):
            out.write(f"%!{verb}(MISSING)")
        else:
            if verb == "v":
                out.sharp_v, out.sharp = out.sharp, False
                out.plus_v, out.plus = out.plus, False
            out.print_argument(self._arguments[self._argument], verb)
            self._argument += 1

    def _precision(self) -> None:
        out = self._out
        self._at += 1
        if self._after_index:
            self._good_index = False
        self._index()
        if self._is("*"):
            self._at += 1
            precision = self._star()
            if precision is None:
                out.write("%!(BADPREC)")
            elif precision < 0:
                precision = None
                out.write("%!(BADPREC)")
            out.precision = precision
            self._after_index = False
        else:
            out.precision = self._digits() or 0

    def _is(self, char: str) -> bool:
        return self._template.startswith(char, self._at)

    def _digits(self) -> int | None:
        start = self._at
        template = self._template
        while self._at < len(template) and "0" <= template[self._at] <= "9":
            self._at += 1
        if start == self._at:
            return None
        number = int(template[start : self._at][:10])
        if number > _TOO_LARGE:  # Go gives up on the number there and reads on
            self._at = start
            while int(template[start : self._at + 1]) <= _TOO_LARGE:
                self._at += 1
            return None
        return number

    def _star(self) -> int | None:
        if self._argument >= len(self._arguments):
            return None
        number = self._arguments[self._argument]
        self._argument += 1
        if not is_integer(number) or abs(number) > _TOO_LARGE:
            return None
        return int(number)

    def _index(self) -> None:
        """An explicit argument index such as ``[2]``."""
        template = self._template
        if not self._is("["):
            self._after_index = False
            return
        self._reordered = True
        close = template.find("]", self._at)
        if close < 0 or len(template) - self._at < 3:
            self._good_index = False
            self._at += 1
            self._after_index = False
            return
        digits = template[self._at + 1 : close]
        self._at = close + 1
        good = digits.isascii() and digits.isdigit() and len(digits) < 8
        if good and 1 <= int(digits) <= len(self._arguments):
            self._argument = int(digits) - 1
            self._after_index = True
            return
        self._good_index = False
        self._after_index = good

    def _extra(self) -> None:
        out = self._out
        out.clear_flags()
        out.write("%!(EXTRA ")
        for number, argument in enumerate(self._arguments[self._argument :]):
            if number:
                out.write(", ")
            if argument is None:
                out.write("<nil>")
            else:
                out.write(type_name(argument) + "=")
                out.print_argument(argument, "v")
        out.write(")")
