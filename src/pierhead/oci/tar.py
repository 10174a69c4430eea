"""The tar format, without IO: headers in both directions, PAX records, sparse maps.

Reads v7, ustar, GNU (long names, old sparse, base-256 numbers) and PAX (paths, links,
sizes, times, owners, extended attributes, sparse 0.0, 0.1 and 1.0). Names are bytes:
tar has no encoding. Sources: POSIX pax(1), the GNU tar manual ("Standard Format",
"Extensions to the tar Archive Format", "Storing Sparse Files").
"""

from __future__ import annotations

import base64
import urllib.parse
from dataclasses import dataclass, field
from typing import Final

from pierhead.errors import InvalidParameter

BLOCK: Final = 512
ZERO_BLOCK: Final = bytes(BLOCK)
EXTENSION_LIMIT: Final = 1 << 20
"""Bytes that one long name or PAX header may take (Go's archive/tar has the same limit)."""
SPARSE_ENTRIES_LIMIT: Final = 1 << 20

REGULAR: Final = b"0"
HARDLINK: Final = b"1"
SYMLINK: Final = b"2"
CHARDEV: Final = b"3"
BLOCKDEV: Final = b"4"
DIRECTORY: Final = b"5"
FIFO: Final = b"6"
CONTIGUOUS: Final = b"7"
GNU_LONGNAME: Final = b"L"
GNU_LONGLINK: Final = b"K"
GNU_SPARSE: Final = b"S"
PAX: Final = b"x"
PAX_SOLARIS: Final = b"X"
PAX_GLOBAL: Final = b"g"

_XATTR: Final = b"SCHILY.xattr."
_XATTR_LIBARCHIVE: Final = b"LIBARCHIVE.xattr."


@dataclass(slots=True)
class Header:
    """One member. ``type`` is normalised: REGULAR for b"\\0", CONTIGUOUS and sparse files."""

    name: bytes
    type: bytes
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    """Bytes that follow in the archive (before padding)."""
    mtime_ns: int = 0
    linkname: bytes = b""
    devmajor: int = 0
    devminor: int = 0
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    sparse: list[tuple[int, int]] | None = None
    """(offset, length) of each stored piece; None for a file that isn't sparse."""
    real_size: int = 0
    """Size of the file once extracted."""
    sparse_in_data: bool = False
    """PAX 1.0: the map stands at the head of the data, see ``parse_sparse_head``."""


def padding(size: int) -> int:
    """Bytes that fill ``size`` up to whole blocks."""
    return -size % BLOCK


def number(raw: bytes) -> int:
    """A numeric header field: octal text, or base-256 if the first bit is set."""
    if raw[0] & 0x80:
        value = raw[0] & 0x7F if raw[0] & 0x40 == 0 else raw[0] - 256
        for byte in raw[1:]:
            value = value << 8 | byte
        return value
    text = raw.partition(b"\0")[0].strip(b" ")
    if not text:
        return 0
    try:
        return int(text, 8)
    except ValueError:
        raise InvalidParameter(f"invalid tar header: {text!r} is not an octal number") from None


def _text(raw: bytes) -> bytes:
    return raw.partition(b"\0")[0]


def parse_header(block: bytes) -> Header:
    """Parse a header block. Raises ``InvalidParameter`` for a bad checksum or number."""
    try:
        stored = int(block[148:156].partition(b"\0")[0].strip(b" ") or b"0", 8)
    except ValueError:
        raise InvalidParameter("invalid tar header") from None
    total = sum(block) - sum(block[148:156]) + 256
    if stored != total:
        signed = sum(byte - 256 if byte > 127 else byte for byte in block[:148] + block[156:])
        if stored != signed + 256:
            raise InvalidParameter("invalid tar header")
    type_ = block[156:157]
    name = _text(block[:100])
    header = Header(
        name=name,
        type=type_,
        mode=number(block[100:108]) & 0o7777,
        uid=number(block[108:116]),
        gid=number(block[116:124]),
        size=number(block[124:136]),
        mtime_ns=number(block[136:148]) * 1_000_000_000,
        linkname=_text(block[157:257]),
    )
    magic = block[257:263]
    if magic == b"ustar\0":
        prefix = _text(block[345:500])
        if prefix:
            header.name = prefix + b"/" + name
    if type_ in (CHARDEV, BLOCKDEV):
        header.devmajor = number(block[329:337])
        header.devminor = number(block[337:345])
    if header.size < 0:
        raise InvalidParameter("invalid tar header: negative size")
    return header


_EXTENSIONS: Final = frozenset({PAX, PAX_SOLARIS, GNU_LONGNAME, GNU_LONGLINK})


class Extensions:
    """What the headers before a member say about it: PAX (pax(1)) and GNU's long names.

    A reader asks ``begin`` of each header, gives the body of those that it takes to ``add``,
    and ``finish`` applies them to the member's own header.
    """

    __slots__ = ("_longlink", "_longname", "_pax", "begun")

    def __init__(self) -> None:
        self._pax: dict[bytes, bytes] = {}
        self._longname = b""
        self._longlink = b""
        self.begun = False
        """There was one: the archive can't end before a member."""

    def __bool__(self) -> bool:
        """Whether they said anything."""
        return bool(self._pax or self._longname or self._longlink)

    def begin(self, header: Header) -> bool:
        """Whether ``header`` is one of them. ``InvalidParameter`` for one that is too long."""
        if header.type not in _EXTENSIONS:
            return False
        if header.size > EXTENSION_LIMIT:
            raise InvalidParameter(
                f"invalid tar header: an extension of {header.size} bytes, "
                f"at most {EXTENSION_LIMIT} are allowed"
            )
        self.begun = True
        return True

    def add(self, header: Header, body: bytes) -> None:
        """``body`` without its padding."""
        if header.type == GNU_LONGNAME:
            self._longname = body.partition(b"\0")[0]
        elif header.type == GNU_LONGLINK:
            self._longlink = body.partition(b"\0")[0]
        else:
            self._pax |= parse_pax(body)

    def finish(self, header: Header) -> None:
        """Apply what was said to ``header``, and normalise its type."""
        if self._longname:
            header.name = self._longname
        if self._longlink:
            header.linkname = self._longlink
        if self._pax:
            _apply_pax(header, self._pax)
        if header.type in (b"\0", CONTIGUOUS):
            header.type = REGULAR
        if header.type == REGULAR and header.name.endswith(b"/"):
            header.type = DIRECTORY  # v7 had no other way to say so
        if header.type not in (REGULAR, GNU_SPARSE):
            # Go and GNU tar: these have no data whatever their size field says, except that
            # pax allows hard links with content, which nobody writes.
            header.size = 0
        elif header.sparse is None and not header.sparse_in_data and header.type == REGULAR:
            header.real_size = header.size
        if b"\0" in header.name or b"\0" in header.linkname:
            raise InvalidParameter("invalid tar header: a name holds a NUL byte")


def parse_pax(data: bytes) -> dict[bytes, bytes]:
    """The records ``"<length> <key>=<value>\\n"`` of an extended header, in order."""
    records: dict[bytes, bytes] = {}
    sparse_map: list[bytes] = []
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 20)
        if space < 0 or not data[position:space].isdigit():
            if not data[position:].strip(b"\0"):
                break  # some writers pad with NULs
            raise InvalidParameter("invalid tar header: bad PAX record length")
        length = int(data[position:space])
        end = position + length
        if end <= space + 1 or end > len(data) or data[end - 1 : end] != b"\n":
            raise InvalidParameter("invalid tar header: bad PAX record")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or not key:
            raise InvalidParameter("invalid tar header: PAX record without '='")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            sparse_map.append(value)  # sparse 0.0: repeated keys, order matters
        else:
            records[key] = value
        position = end
    if sparse_map:
        records[b"GNU.sparse.map"] = b",".join(sparse_map)
    return records


def _apply_pax(header: Header, pax: dict[bytes, bytes]) -> None:
    # An empty value takes the record back: the ustar field counts.
    if path := pax.get(b"path"):
        header.name = path
    if link := pax.get(b"linkpath"):
        header.linkname = link
    if size := pax.get(b"size"):
        header.size = _decimal(size)
    if uid := pax.get(b"uid"):
        header.uid = _decimal(uid)
    if gid := pax.get(b"gid"):
        header.gid = _decimal(gid)
    if mtime := pax.get(b"mtime"):
        header.mtime_ns = parse_time(mtime)
    for key, value in pax.items():
        if key.startswith(_XATTR):
            header.xattrs[key[len(_XATTR) :]] = value
        elif key.startswith(_XATTR_LIBARCHIVE):
            name = urllib.parse.unquote_to_bytes(key[len(_XATTR_LIBARCHIVE) :])
            try:
                plain = base64.b64decode(value + b"=" * (-len(value) % 4))
            except ValueError:
                raise InvalidParameter("invalid tar header: bad LIBARCHIVE.xattr") from None
            header.xattrs.setdefault(name, plain)
    if header.type not in (REGULAR, b"\0", CONTIGUOUS):
        return
    if pax.get(b"GNU.sparse.major") == b"1":
        header.sparse_in_data = True
        header.real_size = _decimal(pax.get(b"GNU.sparse.realsize", b"0"))
        header.name = pax.get(b"GNU.sparse.name", header.name)
    elif b"GNU.sparse.map" in pax or b"GNU.sparse.size" in pax:
        header.real_size = _decimal(pax.get(b"GNU.sparse.size", b"0"))
        header.name = pax.get(b"GNU.sparse.name", header.name)
        text = pax.get(b"GNU.sparse.map", b"")
        numbers = [_decimal(part) for part in text.split(b",")] if text else []
        if len(numbers) % 2:
            raise InvalidParameter("invalid tar header: odd sparse map")
        header.sparse = list(zip(numbers[::2], numbers[1::2], strict=True))
        check_sparse(header)


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise InvalidParameter(f"invalid tar header: {text[:40]!r} is not a number")
    return int(text)


def parse_time(text: bytes) -> int:
    """PAX time ``[-]seconds[.fraction]`` in nanoseconds."""
    negative = text.startswith(b"-")
    whole, _, fraction = text.lstrip(b"-").partition(b".")
    if not whole.isdigit() or (fraction and not fraction.isdigit()) or len(whole) > 18:
        raise InvalidParameter(f"invalid tar header: {text[:40]!r} is not a time")
    value = int(whole) * 1_000_000_000 + int((fraction + b"000000000")[:9])
    return -value if negative else value


def gnu_sparse_map(block: bytes, offset: int, count: int) -> list[tuple[int, int]]:
    """Entries of an old GNU sparse map: pairs of 12-byte numbers, an empty one ends it."""
    entries = []
    for index in range(count):
        at = offset + index * 24
        if block[at] == 0:
            break
        entries.append((number(block[at : at + 12]), number(block[at + 12 : at + 24])))
    return entries


def check_sparse(header: Header) -> None:
    """The map must be ordered, inside the file, and account for the stored bytes."""
    position = stored = 0
    for offset, length in header.sparse or ():
        if offset < position or length < 0 or offset + length > header.real_size:
            raise InvalidParameter("invalid tar header: bad sparse map")
        position = offset + length
        stored += length
    if stored > header.size:
        raise InvalidParameter("invalid tar header: sparse map and size disagree")


_ZERO_TIME: Final = b"00000000000\0"


def build_header(header: Header) -> bytes:
    """The blocks that announce ``header``: ustar, with a PAX or GNU header before it if needed.

    Times are cut to seconds, as Docker's layers are: nothing depends on more.
    """
    pax: list[tuple[bytes, bytes]] = []
    before = b""
    name, prefix = header.name, b""
    if header.type == DIRECTORY and not name.endswith(b"/"):
        name += b"/"
    if len(name) > 100 or not name.isascii():
        split = _split_name(name) if name.isascii() else None
        if split is not None:
            prefix, name = split
        else:
            if _is_utf8(name):
                pax.append((b"path", name))
            else:
                before += _gnu_long(GNU_LONGNAME, name)
            name = name[:100]
    link = header.linkname
    if len(link) > 100 or not link.isascii():
        if _is_utf8(link):
            pax.append((b"linkpath", link))
        else:
            before += _gnu_long(GNU_LONGLINK, link)
        link = link[:100]
    size_field = _octal(header.size, 12)
    if header.size >= 8**11:
        pax.append((b"size", str(header.size).encode()))
        size_field = _octal(0, 12)
    uid, gid = header.uid, header.gid
    if uid >= 8**7:
        pax.append((b"uid", str(uid).encode()))
        uid = 0
    if gid >= 8**7:
        pax.append((b"gid", str(gid).encode()))
        gid = 0
    seconds = header.mtime_ns // 1_000_000_000
    if not 0 <= seconds < 8**11:
        pax.append((b"mtime", str(seconds).encode()))
        seconds = 0
    for key in sorted(header.xattrs):
        pax.append((_XATTR + key, header.xattrs[key]))
    block = _ustar(
        name, header.type, header.mode, uid, gid, size_field, seconds, link,
        header.devmajor, header.devminor, prefix,
    )  # fmt: skip
    if pax:
        body = b"".join(pax_record(key, value) for key, value in pax)
        base = header.name.rstrip(b"/").rpartition(b"/")[2]
        pax_name = b"PaxHeaders.0/" + (base if base.isascii() else b"entry")[:80]
        before += _ustar(pax_name, PAX, 0o644, 0, 0, _octal(len(body), 12), 0, b"", 0, 0, b"")
        before += body + bytes(padding(len(body)))
    return before + block


def pax_record(key: bytes, value: bytes) -> bytes:
    """``"<length> <key>=<value>\\n"``, the length counting itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if rest + len(str(length)) != length:
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _split_name(name: bytes) -> tuple[bytes, bytes] | None:
    """ustar keeps up to 155 bytes of leading directories apart."""
    if len(name) > 256:
        return None
    cut = name.find(b"/", max(0, len(name) - 101), min(156, len(name) - 1))
    return (name[:cut], name[cut + 1 :]) if cut > 0 else None


def _gnu_long(type_: bytes, text: bytes) -> bytes:
    body = text + b"\0"
    head = _ustar(b"././@LongLink", type_, 0o644, 0, 0, _octal(len(body), 12), 0, b"", 0, 0, b"")
    return head + body + bytes(padding(len(body)))


def _ustar(
    name: bytes, type_: bytes, mode: int, uid: int, gid: int, size_field: bytes, seconds: int,
    link: bytes, devmajor: int, devminor: int, prefix: bytes,
) -> bytes:  # fmt: skip
    block = bytearray(BLOCK)
    block[0 : len(name)] = name
    block[100:108] = _octal(mode, 8)
    block[108:116] = _octal(uid, 8)
    block[116:124] = _octal(gid, 8)
    block[124:136] = size_field
    block[136:148] = _octal(seconds, 12) if seconds else _ZERO_TIME
    block[148:156] = b"        "
    block[156:157] = type_
    block[157 : 157 + len(link)] = link
    block[257:265] = b"ustar\x0000"
    block[329:337] = _octal(devmajor, 8)
    block[337:345] = _octal(devminor, 8)
    block[345 : 345 + len(prefix)] = prefix
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
