"""``RUN --mount`` and ``--device``: their texts, checked as BuildKit checks them. No IO."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.build.dockerfile import words
from pierhead.build.dockerfile.errors import with_suggestion
from pierhead.build.dockerfile.gotext import csv_fields, parse_bool, quote
from pierhead.build.execute.model import MountKind, Sharing


class MountError(ValueError):
    """A fault in the flag's text; the words are BuildKit's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountSpec:
    """Values as given, expanded; what is not given is "", ``None`` or the kind's default.

    ``cache``: ``id`` is the target if not given. ``secret``: ``id`` is the source's or the
    target's base name, ``target`` is ``/run/secrets/<id>`` unless only ``env`` is given.
    ``ssh``: ``id`` is ``default``.
    """

    kind: MountKind
    origin: str = ""
    """``from=``: a stage, an image, a context; "" is the build context (bind), nothing (cache)."""
    source: str = ""
    target: str = ""
    """May be relative: to the WORKDIR."""
    read_only: bool = True
    size_bytes: int = 0
    id: str = ""
    sharing: Sharing = Sharing.SHARED
    required: bool = False
    env: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec:
    name: str
    required: bool = False


_KEYS = (
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
)
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+) ?(?:([kmgtp])(?:i?b)?|b)?\Z", re.IGNORECASE | re.ASCII)
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_KINDS = frozenset(str(kind) for kind in MountKind)
_SHARINGS = frozenset(str(sharing) for sharing in Sharing)
_MAX_UINT32 = (1 << 32) - 1


def parse(
    flag: str,
    lookup: Mapping[str, str] | None = None,
    *,
    escape: str = "\\",
    unmatched: set[str] | None = None,
) -> MountSpec:
    """``MountError`` (or ``WordError``). Without a lookup, variables stay and are not checked.

    ``unmatched`` gets the names of variables that were not found.
    """
    try:
        fields = csv_fields(flag)
    except ValueError as error:
        raise MountError(f"failed to parse csv mounts: {error}") from error
    reader = _Reader(lookup, escape, unmatched)
    for field in fields:
        reader.read(field)
    return reader.finish()


class _Reader:
    """The fields one after another: some are allowed only after ``type=`` of their kind."""

    def __init__(
        self, lookup: Mapping[str, str] | None, escape: str, unmatched: set[str] | None
    ) -> None:
        self.lookup = lookup
        self.unmatched = unmatched
        self.escape = escape
        self.kind = MountKind.BIND
        self.read_only: bool | None = None
        self.sharing: Sharing | None = None
        self.env: str | None = None
        self.texts: dict[str, str] = {}
        self.numbers: dict[str, int] = {}
        self.required = False
        self.size_bytes = 0

    def read(self, field: str) -> None:
        key, equals, value = field.partition("=")
        key = key.lower()
        if self.lookup is None:
            if key == "from" and equals and "$" in value[:-1]:
                raise MountError(
                    f"'{key}' doesn't support variable expansion, define alias stage instead"
                )
            self._keep(key, value)
            return
        if not equals:
            self._switch(key, field)
            return
        expanded = words.expand(value, self.lookup, escape=self.escape, unmatched=self.unmatched)
        self._set(key, expanded, field)

    def _keep(self, key: str, value: str) -> None:
        """Before variables have values: what helps to know what a mount is about."""
        if key == "type" and value.lower() in _KINDS:
            self.kind = MountKind(value.lower())
        elif key == "from":
            self.texts["origin"] = value
        elif key in ("source", "src"):
            self.texts["source"] = value
        elif key in ("target", "dst", "destination"):
            self.texts["target"] = value

    def _switch(self, key: str, field: str) -> None:
        if key in ("readonly", "ro"):
            self.read_only = True
        elif key in ("readwrite", "rw"):
            self.read_only = False
        elif key == "required":
            self._only(key, MountKind.SECRET, MountKind.SSH)
            self.required = True
        else:
            raise MountError(f"invalid field '{field}' must be a key=value pair")

    def _only(self, key: str, *kinds: MountKind) -> None:
        if self.kind not in kinds:
            raise MountError(f"unexpected key '{key}' for mount type '{self.kind}'")

    def _set(self, key: str, value: str, field: str) -> None:
        if key == "type":
            if value.lower() not in _KINDS:
                message = f"unsupported mount type {quote(value)}"
                raise MountError(with_suggestion(message, value, _KINDS))
            self.kind = MountKind(value.lower())
        elif key == "from":
            self.texts["origin"] = value
        elif key in ("source", "src"):
            self.texts["source"] = value
        elif key in ("target", "dst", "destination"):
            self.texts["target"] = value
        elif key in ("readonly", "ro"):
            self.read_only = _flag(key, value)
        elif key in ("readwrite", "rw"):
            self.read_only = not _flag(key, value)
        elif key == "required":
            self._only(key, MountKind.SECRET, MountKind.SSH)
            self.required = _flag(key, value)
        elif key == "size":
            self._only(key, MountKind.TMPFS)
            self.size_bytes = _size(key, value)
        elif key == "id":
            self.texts["id"] = value
        elif key == "sharing":
            if value.lower() not in _SHARINGS:
                message = f"unsupported sharing value {quote(value)}"
                raise MountError(with_suggestion(message, value, _SHARINGS))
            self.sharing = Sharing(value.lower())
        elif key in ("mode", "uid", "gid"):
            self.numbers[key] = _number(key, value, 8 if key == "mode" else 10)
        elif key == "env":
            self.env = value
        else:
            message = f"unexpected key '{key}' in '{field}'"
            raise MountError(with_suggestion(message, key, _KEYS))

    def finish(self) -> MountSpec:
        kind = self.kind
        origin, source = self.texts.get("origin", ""), self.texts.get("source", "")
        target, id_ = self.texts.get("target", ""), self.texts.get("id", "")
        if self.lookup is not None:
            self._check(origin, source, target, id_)
        if kind is MountKind.SECRET:
            # The source is another word for the id; with neither, the target's name is meant.
            id_ = id_ or source or posixpath.basename(target)
            if not target and self.env is None:
                target = f"/run/secrets/{posixpath.basename(id_)}"
        elif kind is MountKind.SSH:
            id_ = id_ or "default"
        elif kind is MountKind.CACHE:
            id_ = id_ or (posixpath.normpath(target) if target else "")
        writable = kind in (MountKind.CACHE, MountKind.TMPFS)
        return MountSpec(
            kind=kind,
            origin=origin,
            source=source,
            target=target,
            read_only=not writable if self.read_only is None else self.read_only,
            size_bytes=self.size_bytes,
            id=id_,
            sharing=self.sharing or Sharing.SHARED,
            required=self.required,
            env=self.env,
            mode=self.numbers.get("mode"),
            uid=self.numbers.get("uid"),
            gid=self.numbers.get("gid"),
        )

    def _check(self, origin: str, source: str, target: str, id_: str) -> None:
        """What the fields say together."""
        kind = self.kind
        if kind not in (MountKind.SECRET, MountKind.SSH, MountKind.CACHE):
            for key in ("mode", "uid", "gid"):
                if key in self.numbers:
                    raise MountError(f'{key} not allowed for "{kind}" type mounts')
        if kind is MountKind.SECRET:
            if origin:
                raise MountError("secret mount should not have a from")
            if self.sharing:
                raise MountError("secret mount should not define sharing")
            if not source and not target and not id_:
                raise MountError("invalid secret mount. one of source, target required")
            if source and id_:
                raise MountError("both source and id can't be set")
        if self.sharing and kind is not MountKind.CACHE:
            raise MountError(f"invalid cache sharing set for {kind} mount")


def _flag(key: str, value: str) -> bool:
    result = parse_bool(value)
    if result is None:
        raise MountError(f"invalid value for {key}: {value}")
    return result


def _number(key: str, value: str, base: int) -> int:
    digits = "01234567" if base == 8 else "0123456789"
    if value and len(value) <= 20 and all(char in digits for char in value):
        number = int(value, base)
        if number <= _MAX_UINT32:
            return number
    raise MountError(f"invalid value {value} for {key}")


def _size(key: str, value: str) -> int:
    match = _SIZE.match(value) if len(value) <= 40 else None
    if match is None:
        raise MountError(f"invalid value for {key}: {value}")
    return int(float(match[1]) * 1024 ** _UNITS[(match[2] or "").lower()])


def parse_device(flag: str) -> DeviceSpec:
    """``MountError``."""
    try:
        fields = csv_fields(flag)
    except ValueError as error:
        raise MountError(f"failed to parse csv devices: {error}") from error
    name, required = "", False
    for field in fields:
        key, equals, value = field.partition("=")
        key = key.lower()
        if key == "required":
            required = _flag(key, value) if equals else True
        elif key == "name" and equals:
            if name:
                raise MountError(f"device name already set to {name}")
            name = value
        elif not name:
            name = field
        elif not equals:
            raise MountError(f"invalid field '{field}' must be a key=value pair")
        else:
            message = f"unexpected key '{key}' in '{field}'"
            raise MountError(with_suggestion(message, key, ("name", "required")))
    return DeviceSpec(name=name, required=required)
