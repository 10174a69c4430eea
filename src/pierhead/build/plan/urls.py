"""Which words of ADD, and which contexts, are downloads or git repositories. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_SCP: Final = re.compile(r"[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:(?!//).+")
_GIT_PATH: Final = re.compile(r"\.git/?$")


def is_http(text: str) -> bool:
    """A URL whose bytes are wanted: http or https, and no git repository."""
    return text.lower().startswith(("http://", "https://")) and not is_git(text)


def is_git(text: str) -> bool:
    """A git repository for ADD: ``git://``, ``ssh://``, ``git@host:path``, ``https://….git``.

    ``github.com/x/y`` without a scheme could be a path of the context; it is none here.
    """
    if text.startswith(("git://", "ssh://", "git+ssh://")):
        return True
    if text.lower().startswith(("http://", "https://")):
        parts = urlsplit(text)
        return bool(_GIT_PATH.search(parts.path))
    return "://" not in text and bool(_SCP.fullmatch(text.partition("#")[0]))


def is_git_context(text: str) -> bool:
    """The same for a build's context, where ``github.com/x/y`` is one, too."""
    return is_git(text) or text.startswith("github.com/")


def is_remote(text: str) -> bool:
    """Whether a context's name is a URL and not a local source of the client."""
    return is_git_context(text) or is_http(text)
