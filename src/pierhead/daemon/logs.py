"""pierd's own log: one line a record on stderr, as text or as JSON."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NAMES: Final = {"WARNING": "warning", "CRITICAL": "fatal"}
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}000000Z"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class JsonFormatter(logging.Formatter):
    """``{"level":..., "msg":..., "time":...}`` with the fields beside, as dockerd writes it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "level": _NAMES.get(record.levelname, record.levelname.lower()),
            "msg": record.getMessage(),
            "time": _time(record),
            "logger": record.name,
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """``time=... level=... msg="..." key=value``, a traceback on the lines after."""

    def format(self, record: logging.LogRecord) -> str:
        level = _NAMES.get(record.levelname, record.levelname.lower())
        parts = [f'time="{_time(record)}"', f"level={level}", f"msg={_quote(record.getMessage())}"]
        parts += [f"{name}={_quote(value)}" for name, value in _fields(record).items()]
        line = " ".join(parts)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _quote(value: Any) -> str:
    text = str(value)
    plain = text and all(char.isalnum() or char in "-._/@^+:," for char in text)
    return text if plain else json.dumps(text)


def set_up(form: str, level: str, debug: bool) -> None:
    """Send all records to stderr. May be called again (reload)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else _LEVELS[level])
    # asyncio's debug records say nothing about us, aiohttp's about what a client sent.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    # Header by header, bit by bit: nothing to read, and a client's tokens in it.
    for name in ("hpack", "h2", "grpclib"):
        logging.getLogger(name).setLevel(logging.WARNING)
