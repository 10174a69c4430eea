"""Functions of bake files that work on texts, hashes and times. They raise ``ValueProblem``."""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
import uuid
from datetime import UTC, datetime, timedelta

from pierhead.cli.bake.hcl.values import (
    ValueProblem,
    is_number,
    kind,
    number_text,
    to_number,
    to_string,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _hash(name: str) -> Callable[[Any], str]:
    def function(text: Any) -> str:
        return hashlib.new(name, to_string(text).encode()).hexdigest()

    return function


def _base64decode(text: Any) -> str:
    try:
        return base64.b64decode(to_string(text), validate=True).decode()
    except ValueError:
        raise ValueProblem(f"failed to decode base64 data {to_string(text)!r}") from None


def _basename(path: Any) -> str:
    text = to_string(path).rstrip("/")
    return posixpath.basename(text) or ("/" if to_string(path) else ".")


def _dirname(path: Any) -> str:
    return posixpath.normpath(posixpath.dirname(to_string(path)) or ".")


def _compiled(pattern: Any) -> re.Pattern[str]:
    try:
        return re.compile(to_string(pattern))
    except re.error as error:
        raise ValueProblem(f"invalid regexp pattern: {error}") from None


def _match_value(match: re.Match[str]) -> Any:
    """The whole match, a tuple of unnamed groups, or an object of named ones."""
    if match.re.groupindex:
        return {name: match[name] for name in match.re.groupindex}
    if match.re.groups:
        return list(match.groups())
    return match[0]


def _regex(pattern: Any, text: Any) -> Any:
    match = _compiled(pattern).search(to_string(text))
    if match is None:
        raise ValueProblem("pattern did not match any part of the given string")
    return _match_value(match)


def _regexall(pattern: Any, text: Any) -> Any:
    return [_match_value(match) for match in _compiled(pattern).finditer(to_string(text))]


def _regex_replace(text: Any, pattern: Any, replacement: Any) -> str:
    # Go's $1, ${name} are \g<1>, \g<name> here.
    template = re.sub(
        r"\$(\w+|\{\w+\})",
        lambda found: "\\g<" + found[1].strip("{}") + ">",
        to_string(replacement).replace("\\", "\\\\"),
    )
    try:
        return _compiled(pattern).sub(template, to_string(text))
    except (re.error, IndexError) as error:
        raise ValueProblem(f"invalid replacement: {error}") from None


def _replace(text: Any, old: Any, new: Any) -> str:
    return to_string(text).replace(to_string(old), to_string(new))


def _sanitize(text: Any) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", to_string(text))


def _substr(text: Any, offset: Any, length: Any) -> str:
    value, start, size = to_string(text), int(to_number(offset)), int(to_number(length))
    start = max(start + len(value), 0) if start < 0 else start
    return value[start:] if size < 0 else value[start : start + size]


def _title(text: Any) -> str:
    return re.sub(r"(?<!\S)\S", lambda found: found[0].upper(), to_string(text))


def _indent(spaces: Any, text: Any) -> str:
    return to_string(text).replace("\n", "\n" + " " * int(to_number(spaces)))


def _chomp(text: Any) -> str:
    return to_string(text).rstrip("\r\n")


def _trimprefix(text: Any, prefix: Any) -> str:
    return to_string(text).removeprefix(to_string(prefix))


def _trimsuffix(text: Any, suffix: Any) -> str:
    return to_string(text).removesuffix(to_string(suffix))


def _trim(text: Any, cutset: Any) -> str:
    return to_string(text).strip(to_string(cutset))


def _urlencode(text: Any) -> str:
    from urllib.parse import quote_plus

    return quote_plus(to_string(text))


def format_text(form: Any, *arguments: Any) -> str:
    """Go's verbs as cty takes them: ``%s %q %d %f %g %e %x %o %b %v %t %%``, widths, ``%[1]s``."""
    text = to_string(form)
    out: list[str] = []
    used: set[int] = set()
    at = following = 0
    verb = re.compile(r"%([-+# 0]*)(?:\[(\d+)\])?(\d+)?(?:\.(\d*))?(?:\[(\d+)\])?([a-zA-Z%])")
    while (percent := text.find("%", at)) >= 0:
        out.append(text[at:percent])
        match = verb.match(text, percent)
        if match is None:
            raise ValueProblem(f"unrecognized format at offset {percent}")
        at = match.end()
        flags, first, width, precision, second, letter = match.groups()
        if letter == "%":
            out.append("%")
            continue
        index = int(first or second or following + 1) - 1
        following = index + 1
        if not 0 <= index < len(arguments):
            raise ValueProblem(
                f"not enough arguments for {match[0]!r} at {percent}: need index {index + 1} but "
                f"have {len(arguments)} total"
            )
        used.add(index)
        out.append(_verb(letter, flags, width, precision, arguments[index]))
    out.append(text[at:])
    if len(used) < len(arguments) and "[" not in text:
        raise ValueProblem("too many arguments; no verb in format string")
    return "".join(out)


def _verb(letter: str, flags: str, width: str | None, precision: str | None, value: Any) -> str:
    if letter == "v":
        letter = {"string": "s", "number": "g", "bool": "t"}.get(kind(value), "j")
        if letter == "g" and precision is None:
            letter, value = "s", number_text(value)
    align = "<" if "-" in flags else ""
    sign = "+" if "+" in flags else " " if " " in flags else ""
    zero = "0" if "0" in flags and not align else ""
    if letter in "sqj":
        if letter == "j":
            from pierhead.cli.bake.hcl.collection_functions import json_text

            text = json_text(value)
        else:
            text = to_string(value) if value is not None or letter == "s" else "null"
            text = text[: int(precision or 0)] if precision is not None else text
            if letter == "q":
                from pierhead.cli.flags import go_quote

                text = go_quote(text)
        return f"{text:{align or '>'}{width or ''}}"
    if letter == "t":
        if not isinstance(value, bool):
            raise ValueProblem("unsupported value for %t: bool required")
        return f"{'true' if value else 'false':{align or '>'}{width or ''}}"
    amount = to_number(value)
    if letter in "dboxX":
        alternate = "#" if "#" in flags else ""
        return f"{int(amount):{align}{sign}{alternate}{zero}{width or ''}{letter}}"
    if letter in "eEfFgG":
        digits = f".{precision or 0}" if precision is not None else "" if letter in "gG" else ".6"
        return f"{float(amount):{align}{sign}{zero}{width or ''}{digits}{letter}}"
    raise ValueProblem(f"unsupported format verb {letter!r}")


def _formatlist(form: Any, *arguments: Any) -> list[str]:
    sizes = {len(one) for one in arguments if isinstance(one, list)}
    if len(sizes) > 1:
        raise ValueProblem("lists of different lengths")
    count = sizes.pop() if sizes else 1
    return [
        format_text(form, *(one[at] if isinstance(one, list) else one for one in arguments))
        for at in range(count)
    ]


# Times


def _parsed_time(text: Any) -> datetime:
    value = to_string(text)
    try:
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        raise ValueProblem(f"not a valid RFC3339 timestamp: {value!r}") from None
    if found.tzinfo is None or "T" not in value:
        raise ValueProblem("not a valid RFC3339 timestamp: missing required time zone")
    return found


def _timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _timeadd(time: Any, duration: Any) -> str:
    from pierhead.cli.flags import parse_duration

    try:
        nanoseconds = parse_duration(to_string(duration))
    except ValueError as error:
        raise ValueProblem(str(error)) from None
    return _rfc3339(_parsed_time(time) + timedelta(microseconds=nanoseconds / 1000))


def _rfc3339(time: datetime) -> str:
    text = time.strftime("%Y-%m-%dT%H:%M:%S")
    return text + _zone(time, ":", zulu=True)


def _zone(time: datetime, colon: str, *, zulu: bool) -> str:
    offset = time.utcoffset() or timedelta()
    minutes = int(offset.total_seconds()) // 60
    if zulu and not minutes:
        return "Z"
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}{colon}{abs(minutes) % 60:02d}"


_TIME_PARTS: dict[str, Callable[[datetime], str]] = {
    "YYYY": lambda time: f"{time.year:04d}",
    "YY": lambda time: f"{time.year % 100:02d}",
    "MMMM": lambda time: time.strftime("%B"),
    "MMM": lambda time: time.strftime("%b"),
    "MM": lambda time: f"{time.month:02d}",
    "M": lambda time: str(time.month),
    "DD": lambda time: f"{time.day:02d}",
    "D": lambda time: str(time.day),
    "EEEE": lambda time: time.strftime("%A"),
    "EEE": lambda time: time.strftime("%a"),
    "hh": lambda time: f"{time.hour:02d}",
    "h": lambda time: str(time.hour),
    "HH": lambda time: f"{(time.hour - 1) % 12 + 1:02d}",
    "H": lambda time: str((time.hour - 1) % 12 + 1),
    "AA": lambda time: "AM" if time.hour < 12 else "PM",
    "aa": lambda time: "am" if time.hour < 12 else "pm",
    "mm": lambda time: f"{time.minute:02d}",
    "m": lambda time: str(time.minute),
    "ss": lambda time: f"{time.second:02d}",
    "s": lambda time: str(time.second),
    "ZZZZZ": lambda time: _zone(time, ":", zulu=False),
    "ZZZZ": lambda time: _zone(time, "", zulu=False),
    "ZZZ": lambda time: "UTC" if not time.utcoffset() else _zone(time, "", zulu=False),
    "Z": lambda time: _zone(time, ":", zulu=True),
}


def _formatdate(form: Any, time: Any) -> str:
    when = _parsed_time(time)
    text = to_string(form)
    out: list[str] = []
    at = 0
    for match in re.finditer(r"'((?:[^']|'')*)'|(([a-zA-Z])\3*)|([^a-zA-Z']+)", text):
        if match.start() != at:
            raise ValueProblem("unterminated literal '")
        at = match.end()
        if match[2]:
            part = _TIME_PARTS.get(match[2])
            if part is None:
                raise ValueProblem(f"invalid date format verb {match[2]!r}")
            out.append(part(when))
        else:
            out.append(match[4] if match[4] is not None else match[1].replace("''", "'"))
    if at != len(text):
        raise ValueProblem("unterminated literal '")
    return "".join(out)


def _formattimestamp(form: Any, time: Any) -> str:
    if is_number(time):
        when = datetime.fromtimestamp(time, UTC)
    else:
        when = _parsed_time(time)
    if to_string(form) == "X":
        return str(int(when.timestamp()))
    return _formatdate(form, _rfc3339(when))


def _unixtimestampparse(seconds: Any) -> dict[str, Any]:
    when = datetime.fromtimestamp(to_number(seconds), UTC)
    year, week, _ = when.isocalendar()
    return {
        "year": when.year,
        "year_day": when.timetuple().tm_yday,
        "day": when.day,
        "month": when.month,
        "month_name": when.strftime("%B"),
        "weekday": (when.weekday() + 1) % 7,
        "weekday_name": when.strftime("%A"),
        "hour": when.hour,
        "minute": when.minute,
        "second": when.second,
        "rfc3339": _rfc3339(when),
        "iso_year": year,
        "iso_week": week,
    }


def _uuidv5(namespace: Any, name: Any) -> str:
    spaces = {
        "dns": uuid.NAMESPACE_DNS,
        "url": uuid.NAMESPACE_URL,
        "oid": uuid.NAMESPACE_OID,
        "x500": uuid.NAMESPACE_X500,
    }
    text = to_string(namespace)
    try:
        space = spaces.get(text) or uuid.UUID(text)
    except ValueError:
        raise ValueProblem(f"uuidv5() doesn't support namespace {text}") from None
    return str(uuid.uuid5(space, to_string(name)))


def _homedir() -> str:
    import os

    return os.path.expanduser("~")


def _missing(name: str) -> Callable[..., Any]:
    def function(*arguments: Any) -> Any:
        raise ValueProblem(f"{name} is not part of Pierhead")

    return function


TEXTS: dict[str, Callable[..., Any]] = {
    "base64decode": _base64decode,
    "base64encode": lambda text: base64.b64encode(to_string(text).encode()).decode(),
    "basename": _basename,
    "bcrypt": _missing("bcrypt"),
    "byteslen": lambda text: len(to_string(text).encode()),
    "bytesslice": lambda text, offset, length: (
        to_string(text).encode()[int(offset) : int(offset) + int(length)].decode("utf-8", "replace")
    ),
    "chomp": _chomp,
    "dirname": _dirname,
    "format": format_text,
    "formatdate": _formatdate,
    "formatlist": _formatlist,
    "formattimestamp": _formattimestamp,
    "homedir": _homedir,
    "indent": _indent,
    "lower": lambda text: to_string(text).lower(),
    "md5": _hash("md5"),
    "regex": _regex,
    "regex_replace": _regex_replace,
    "regexall": _regexall,
    "replace": _replace,
    "reverse": lambda text: to_string(text)[::-1],
    "rsadecrypt": _missing("rsadecrypt"),
    "sanitize": _sanitize,
    "sha1": _hash("sha1"),
    "sha256": _hash("sha256"),
    "sha512": _hash("sha512"),
    "strlen": lambda text: len(to_string(text)),
    "substr": _substr,
    "timeadd": _timeadd,
    "timestamp": _timestamp,
    "title": _title,
    "trim": _trim,
    "trimprefix": _trimprefix,
    "trimspace": lambda text: to_string(text).strip(),
    "trimsuffix": _trimsuffix,
    "unixtimestampparse": _unixtimestampparse,
    "upper": lambda text: to_string(text).upper(),
    "urlencode": _urlencode,
    "uuidv4": lambda: str(uuid.uuid4()),
    "uuidv5": _uuidv5,
}
