"""Heredocs as a source."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence

from pierhead.build.files.entries import Entry, clean
from pierhead.build.files.held import Held, Packs
from pierhead.build.files.model import Inline
from pierhead.build.files.tree import Tree
from pierhead.linux import process


def held(files: Sequence[Inline]) -> Held:
    """Their text in memory. ``InvalidParameter`` for a bad name."""
    entries = []
    data = b""
    for file in files:
        path = clean(file.name.encode("utf-8", "surrogateescape"), "heredoc")
        entries.append(
            Entry(
                path,
                stat.S_IFREG | 0o644,
                size=len(file.data),
                digest=hashlib.sha256(file.data).digest(),
                pack=0,
                offset=len(data),
            )
        )
        data += file.data
    return Held(Tree(entries, "heredoc"), Packs({0: process.memory_file("heredoc", data)}))
