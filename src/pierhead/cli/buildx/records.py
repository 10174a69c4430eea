"""Records of builds: which one a word means, times and texts for people. Pure but for ``fetch``."""

from __future__ import annotations

from pierhead.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.main import Cli

    Record = dict[str, Any]

_SECOND = 1_000_000_000
_STATUS = {"running": "Running", "completed": "Completed", "error": "Error", "canceled": "Canceled"}


def fetch(cli: Cli) -> list[Record]:
    """All records, those that run first, then newest first."""
    found: list[Record] = cli.client.get("/pierhead/build/history") or []
    return sorted(found, key=lambda one: (one["finished_ns"] != 0, -one["started_ns"]))


def choose(records: list[Record], word: str) -> Record:
    """The record that ``word`` means: a ref, its beginning, ``^N``, "" the newest.

    Raises ``CliError``.
    """
    word = word.rpartition("/")[2]
    newest = sorted(records, key=lambda one: -one["started_ns"])
    if not word or word.startswith("^"):
        digits = word[1:] or ("1" if word else "0")
        if digits.isdigit() and int(digits) < len(newest):
            return newest[int(digits)]
        raise CliError(
            "ERROR: no records found" if not word else f"ERROR: no record found for {word}"
        )
    matching = [one for one in newest if one["ref"].startswith(word)]
    exact = [one for one in matching if one["ref"] == word]
    if not matching:
        raise CliError(f"ERROR: no record found for ref {word}")
    if len(matching) > 1 and not exact:
        raise CliError(f"ERROR: multiple records match ref {word}: write more of it")
    return (exact or matching)[0]


def duration_text(nanoseconds: int) -> str:
    """``0.3s``, ``1m 05s``, ``2h 03m``."""
    seconds = nanoseconds / _SECOND
    if seconds < 60:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:2d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:2d}m"


def took(record: Record, now_ns: int) -> str:
    """How long a build has taken; one that runs has a plus."""
    if record["finished_ns"]:
        return duration_text(record["finished_ns"] - record["started_ns"])
    return duration_text(max(now_ns - record["started_ns"], 0)) + "+"


def status_text(record: Record) -> str:
    """``Completed`` and so on."""
    return _STATUS.get(str(record.get("status")), str(record.get("status", "")))


def short_name(name: str, width: int = 36) -> str:
    """The end of a long name, where builds differ."""
    return name if len(name) <= width else ".." + name[len(name) - width + 2 :]


def fits(record: Record, filters: list[str]) -> bool:
    """Whether a record fits ``key=value`` filters. Raises ``CliError``."""
    for text in filters:
        key, equals, value = text.partition("=")
        negative = key.endswith("!")
        key = key.removesuffix("!")
        if not equals:
            raise CliError(f"ERROR: invalid filter {text}: expected key=value")
        if key == "ref":
            found = record["ref"].startswith(value)
        elif key == "status":
            found = str(record.get("status", "")).lower() == value.lower()
        elif key in ("name", "door", "target", "digest"):
            found = value in str(record.get(key, ""))
        elif key == "tag":
            found = value in record.get("tags", ())
        elif key == "repository":
            found = value in str((record.get("vcs") or {}).get("source", ""))
        else:
            raise CliError(
                f"ERROR: unknown filter {key}: ref, status, name, door, target, digest, tag, "
                "repository"
            )
        if found == negative:
            return False
    return True
