"""Image references as people write them: ``docker.io/library/x:latest`` is ``x:latest``.

Only what the client shows; whether a reference is right is the daemon's to say.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_HEX = frozenset("0123456789abcdef")
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Reference:
    """``domain/path:tag@digest``, normalised: a domain is always there."""

    __slots__ = ("digest", "domain", "path", "tag")

    def __init__(self, domain: str, path: str, tag: str, digest: str) -> None:
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest

    @property
    def familiar_name(self) -> str:
        """The repository without docker.io and library/."""
        if self.domain != "docker.io":
            return f"{self.domain}/{self.path}"
        path = self.path
        if path.startswith("library/") and "/" not in path[8:]:
            return path[8:]
        return path

    def familiar(self) -> str:
        """The whole reference in its short form."""
        return self.familiar_name + self._suffix()

    def __str__(self) -> str:
        return f"{self.domain}/{self.path}{self._suffix()}"

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def _components(path: str) -> Iterator[bool]:
    for part in path.split("/"):
        good = bool(part) and part[0] in _LOWER and part[-1] in _LOWER
        at = 0
        while good and at < len(part):
            if part[at] in _LOWER:
                at += 1
                continue
            end = at
            while part[end] not in _LOWER:
                end += 1
            run = part[at:end]
            good = run in (".", "_", "__") or not run.strip("-")
            at = end
        yield good


def parse(text: str) -> Reference:
    """Read and normalise a reference. Raises ValueError with docker's text."""
    if len(text) == 64 and set(text) <= _HEX:
        raise ValueError(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    domain, slash, rest = text.partition("/")
    named = slash and ("." in domain or ":" in domain or domain == "localhost")
    if not named and not (slash and domain.lower() != domain):
        domain, rest = "docker.io", text
    if domain == "index.docker.io":
        domain = "docker.io"
    rest, at, digest = rest.partition("@")
    path, colon, tag = rest, "", ""
    if ":" in rest.rpartition("/")[2]:
        path, colon, tag = rest.rpartition(":")
    if domain == "docker.io" and "/" not in path:
        path = "library/" + path
    if path.lower() != path:
        raise ValueError(f"invalid reference format: repository name ({path}) must be lowercase")
    bad = not all(_components(path)) or (colon and not _good_tag(tag))
    if bad or (at and not _good_digest(digest)) or not _good_domain(domain):
        raise ValueError("invalid reference format")
    if len(domain) + 1 + len(path) > 255:
        raise ValueError("repository name must not be more than 255 characters")
    return Reference(domain, path, tag, digest)


def _good_tag(tag: str) -> bool:
    return 0 < len(tag) <= 128 and tag[0] in _WORD and set(tag) <= _WORD | {".", "-"}


def _good_digest(digest: str) -> bool:
    algorithm, colon, value = digest.partition(":")
    return bool(colon and algorithm) and len(value) >= 32 and set(value) <= _HEX


def _good_domain(domain: str) -> bool:
    if domain.startswith("["):
        host, _, port = domain[1:].partition("]")
        return (
            bool(host) and set(host) <= _HEX | set(":ABCDEF") and (not port or port[1:].isdigit())
        )
    host, colon, port = domain.partition(":")
    if colon and not port.isdigit():
        return False
    allowed = _WORD - {"_"}
    return all(
        part and part[0] in allowed and part[-1] in allowed and set(part) <= allowed | {"-"}
        for part in host.split(".")
    )


def familiar_image(image: str) -> str:
    """An image's name as ``ps`` shows it: short, without a digest; as it is if it is none."""
    try:
        reference = parse(image)
    except ValueError:
        return image
    reference.digest = ""
    return reference.familiar()
