"""Where files of a build come from, and what is asked of them. No IO.

A *source* is a tree of files that never changes: a client's context as it was when it was
taken, a chain of layers, a download, a checkout, or what a heredoc says. Its bytes lie in
packs, kept tars or layers; nothing of it is unpacked to be read.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from pierhead.oci.digest import ChainId, Digest


class SourceKind(enum.StrEnum):
    CONTEXT = "context"
    CHAIN = "chain"
    HTTP = "http"
    GIT = "git"
    INLINE = "inline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A handle; ``FileService`` knows what is behind it until ``release``."""

    kind: SourceKind
    name: str
    """For people: ``context``, a stage's name, the URL."""
    identity: Digest | None = None
    """Digest that stands for all of its content, where that is known without reading it."""
    chain_id: ChainId | None = None
    """Of ``CHAIN``; ``None`` there is the empty tree (``scratch``)."""
    handle: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inline:
    """A heredoc: a file made of the Dockerfile's text."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRequest:
    """One COPY or ADD, all words expanded."""

    sources: Sequence[str] = ()
    """Paths or globs below the source's root, as written."""
    inline: Sequence[Inline] = ()
    destination: str = "/"
    """Absolute (WORKDIR applied); a trailing "/" (or "/.") is kept and means a directory."""
    unpack: bool = False
    """ADD: local archives are unpacked (``--unpack`` of URLs sets it, too)."""
    chown: str = ""
    chmod: str = ""
    """Octal, or symbolic as ``chmod(1)``."""
    link: bool = False
    parents: bool = False
    exclude: Sequence[str] = ()
    keep_owner: bool = False
    """Owners as in the source (from an image or stage); else 0:0 unless ``chown``."""
    epoch_s: int | None = None
    """``SOURCE_DATE_EPOCH``: no time in the layer is later."""
    location: str = ""
    """``Dockerfile:12`` for errors."""
    classic: bool = False
    """As Docker's classic builder: set-id bits of files go, what is in archives keeps its
    owners, and a wildcard that matches nothing is an error if nothing else is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The files that a request means in one source."""

    source: Source
    digest: Digest
    """Counts paths below the selected roots, types, modes, owners, xattrs, links, content:
    what the layer depends on, but no times."""
    files: int
    size_bytes: int
    sources: Sequence[str] = ()
    """Of the request."""
    roots: int = 1
    """How many files and directories the sources mean, globs expanded."""
    is_dir: bool = False
    """The only root is a directory."""


@dataclass(slots=True, kw_only=True)
class Transfer:
    """How a source came in, for the status line and for the history."""

    bytes_received: int = 0
    files_listed: int = 0
    files_received: int = 0
    ignored: int = 0
    notes: list[str] = field(default_factory=list)
