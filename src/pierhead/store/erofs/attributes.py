"""What setting an attribute does in Linux, done to an inode that is still being written.

A tar brings extended attributes as a file system gives them out. Setting them checks some,
and POSIX ACLs change the mode; an image must come out the same as unpacking would.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterable
from typing import Final

from pierhead.errors import InvalidParameter
from pierhead.oci import layer

_ACCESS: Final = b"system.posix_acl_access"
_DEFAULT: Final = b"system.posix_acl_default"
_CAPABILITY: Final = b"security.capability"
_DROPPED: Final = (b"trusted.overlay.", b"user.overlay.")
"""overlayfs's own ones would make it look elsewhere."""
_KEPT: Final = (b"user.", b"trusted.", b"security.")
VALUE_LIMIT: Final = 0xFFFF
"""EROFS counts a value's length in 16 bits (Linux allows one byte more)."""

_ACL_VERSION: Final = b"\2\0\0\0"
_ACL_ENTRY: Final = struct.Struct("<HHI")
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 1, 2, 4, 8, 16, 32
_NO_ID: Final = 0xFFFFFFFF


def settle(
    path: bytes, mode: int, xattrs: Iterable[tuple[bytes, bytes]]
) -> tuple[int, list[tuple[bytes, bytes]]]:
    """The mode (with type bits) and the attributes that a file has after setting ``xattrs``.

    What a file system like ext4 doesn't take (unknown namespaces, ``user.`` on a symlink)
    is left out. Raises ``InvalidParameter`` for values that Linux refuses as malformed.
    """
    kept = []
    for name, value in sorted(xattrs):
        if len(name) > 255 or b"\0" in name:
            raise _bad(path, name, "its name")
        if len(value) > VALUE_LIMIT:
            raise _bad(path, name, f"a value of {len(value)} bytes")
        if name in (_ACCESS, _DEFAULT):
            if stat.S_ISLNK(mode) or not value:
                continue
            if name == _DEFAULT and not stat.S_ISDIR(mode):
                raise _bad(path, name, "it is no directory")
            if len(value) >= 4 and value[:4] != _ACL_VERSION:
                continue  # EOPNOTSUPP
            new_mode, needed = _acl(path, name, value, mode)
            if name == _ACCESS:
                mode = new_mode
                if not needed:
                    continue
            elif not value[4:]:
                continue
        elif name.startswith(_DROPPED) or not name.startswith(_KEPT):
            continue
        elif name.startswith(b"user.") and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            continue
        elif name in (b"user.", b"trusted.", b"security."):
            raise _bad(path, name, "its name")
        elif name == _CAPABILITY and value and not _is_capability(value):
            raise _bad(path, name, "its value")
        kept.append((name, value))
    return mode, kept


def _bad(path: bytes, name: bytes, what: str) -> InvalidParameter:
    return InvalidParameter(
        f"invalid layer: extended attribute {layer.show(name)} of {layer.show(path)} "
        f"can't be set: {what} is not valid"
    )


def _is_capability(value: bytes) -> bool:
    """A version 2 or 3 structure (linux/capability.h): nothing else can be set."""
    if len(value) not in (20, 24):
        return False
    return value[3] == (2 if len(value) == 20 else 3)


def _acl(path: bytes, name: bytes, value: bytes, mode: int) -> tuple[int, bool]:
    """(the mode after it, whether it says more than the mode does): posix_acl_equiv_mode."""
    if len(value) < 4 or (len(value) - 4) % 8:
        raise _bad(path, name, "its value")
    if len(value) == 4:
        return mode, False
    bits = dict.fromkeys((_USER_OBJ, _GROUP_OBJ, _MASK, _OTHER), -1)
    order = 0
    named = False
    for tag, permissions, id_ in _ACL_ENTRY.iter_unpack(value[4:]):
        if permissions > 7 or tag < order:
            raise _bad(path, name, "its value")
        order = tag
        if tag in bits:
            if bits[tag] >= 0:
                raise _bad(path, name, "its value")
            bits[tag] = permissions
        elif tag in (_USER, _GROUP):
            if id_ == _NO_ID:
                raise _bad(path, name, "its value")
            named = True
        else:
            raise _bad(path, name, "its value")
    if min(bits[_USER_OBJ], bits[_GROUP_OBJ], bits[_OTHER]) < 0 or (named and bits[_MASK] < 0):
        raise _bad(path, name, "its value")
    group = bits[_MASK] if bits[_MASK] >= 0 else bits[_GROUP_OBJ]
    new_mode = mode & ~0o777 | bits[_USER_OBJ] << 6 | group << 3 | bits[_OTHER]
    return new_mode, bits[_MASK] >= 0
