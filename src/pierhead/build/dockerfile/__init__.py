"""The language of Dockerfiles: text to stages, words, mounts, .dockerignore, checks. Pure.

``parse`` gives a ``Dockerfile`` (``model``); ``expand.instruction`` replaces variables by the
rules of each instruction; ``mounts.parse`` reads ``RUN --mount``; ``ignore`` has the rules for
contexts; ``checks.run`` is the lint. Names are imported when asked for: the client needs
``ignore`` only, and starts in milliseconds.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.build.dockerfile.errors import BuildError as BuildError
    from pierhead.build.dockerfile.model import Dockerfile as Dockerfile
    from pierhead.build.dockerfile.parser import parse as parse
    from pierhead.build.dockerfile.parser import parse_instruction as parse_instruction

_HOMES = {
    "BuildError": "errors",
    "Dockerfile": "model",
    "parse": "parser",
    "parse_instruction": "parser",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)
