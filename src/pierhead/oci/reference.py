"""Image references: parsing, Docker's normalisation, and the familiar form people read.

``busybox`` is short for ``docker.io/library/busybox:latest``; we store the long form and
show the short one. Grammar and texts follow distribution/reference, which every Docker
client and daemon uses::

    reference  = name [ ":" tag ] [ "@" digest ]
    name       = [ domain "/" ] path-component { "/" path-component }
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import is_hex

DEFAULT_DOMAIN: Final = "docker.io"
LEGACY_DOMAIN: Final = "index.docker.io"
OFFICIAL_PREFIX: Final = "library/"
DEFAULT_TAG: Final = "latest"
NAME_LIMIT: Final = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[\w][\w.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

_REFERENCE = re.compile(
    rf"(?P<name>(?:(?P<domain>{_DOMAIN})/)?(?P<path>{_PATH}))"
    rf"(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?",
    re.ASCII,
)
_TAG_ONLY = re.compile(_TAG, re.ASCII)
_DIGEST_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}

INVALID: Final = "invalid reference format"


@dataclass(frozen=True, slots=True)
class Reference:
    """A normalised reference. ``str()`` gives the long form."""

    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """``docker.io/library/busybox``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """``busybox``, ``user/app``, ``registry:5000/app``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        path = self.path
        if path.startswith(OFFICIAL_PREFIX) and "/" not in path[len(OFFICIAL_PREFIX) :]:
            return path[len(OFFICIAL_PREFIX) :]
        return path

    @property
    def familiar(self) -> str:
        """The familiar name with tag and digest."""
        return self.familiar_name + self._suffix()

    @property
    def is_name_only(self) -> bool:
        return self.tag is None and self.digest is None

    def with_default_tag(self) -> Reference:
        """The same with ``latest`` if it has neither tag nor digest."""
        return replace(self, tag=DEFAULT_TAG) if self.is_name_only else self

    def with_tag(self, tag: str) -> Reference:
        """The same with ``tag`` (and no digest). Raises ``InvalidParameter`` for a bad tag."""
        if not _TAG_ONLY.fullmatch(tag):
            raise InvalidParameter("invalid tag format")
        return Reference(self.domain, self.path, tag)

    def with_digest(self, digest: str) -> Reference:
        """The same with ``digest``."""
        return replace(self, digest=digest)

    def without_tag(self) -> Reference:
        """Name and digest alone."""
        return replace(self, tag=None)

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        digest = f"@{self.digest}" if self.digest is not None else ""
        return tag + digest

    def __str__(self) -> str:
        return self.name + self._suffix()


def parse(text: str) -> Reference:
    """Parse what a user typed and normalise it (no default tag is added).

    Raises ``InvalidParameter`` with Docker's texts: ``invalid reference format``,
    ``... repository name must be lowercase``, ``... cannot specify 64-byte hexadecimal
    strings``.
    """
    if len(text) == 64 and is_hex(text):
        raise InvalidParameter(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    domain, remainder = _split_domain(text)
    path = remainder.partition("@")[0]
    path = path.partition(":")[0]
    if path.lower() != path:
        raise InvalidParameter(f"{INVALID}: repository name ({path}) must be lowercase")
    match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if match is None:
        raise InvalidParameter(INVALID)
    found_domain, found_path = match["domain"], match["path"]
    if found_domain is None:
        raise InvalidParameter(INVALID)
    if len(found_path) > NAME_LIMIT:
        raise InvalidParameter(f"repository name must not be more than {NAME_LIMIT} characters")
    digest = match["digest"]
    if digest is not None:
        algorithm, _, value = digest.partition(":")
        length = _DIGEST_LENGTHS.get(algorithm)
        if length is None:
            raise InvalidParameter("unsupported digest algorithm")
        if len(value) != length:
            raise InvalidParameter("invalid checksum digest length")
        if not is_hex(value):
            raise InvalidParameter("invalid checksum digest format")
    return Reference(found_domain, found_path, match["tag"], digest)


def parse_stored(text: str) -> Reference:
    """Parse a long form that we stored ourselves: no checks, no normalisation."""
    name, at, digest = text.partition("@")
    slash = name.rfind("/")
    colon = name.rfind(":")
    tag: str | None = None
    if colon > slash:
        name, tag = name[:colon], name[colon + 1 :]
    domain, _, path = name.partition("/")
    return Reference(domain, path, tag, digest if at else None)


def familiar(stored: str) -> str:
    """The familiar form of a stored reference: ``busybox:latest``."""
    return parse_stored(stored).familiar


def _split_domain(text: str) -> tuple[str, str]:
    """Docker's rule: the part before the first slash is a host if it looks like one."""
    first, slash, rest = text.partition("/")
    if not slash or (
        "." not in first and ":" not in first and first != "localhost" and first.lower() == first
    ):
        domain, remainder = DEFAULT_DOMAIN, text
    else:
        domain, remainder = first, rest
    if domain == LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = OFFICIAL_PREFIX + remainder
    return domain, remainder
