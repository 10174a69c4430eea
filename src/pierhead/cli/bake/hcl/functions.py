"""The functions of bake files by name. Three modules hold them, imported on first use."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Functions whose arguments aren't simply evaluated: ``evaluate`` has them itself.
LAZY = ("can", "convert", "try")


def table() -> dict[str, Callable[..., Any]]:
    """Every function but the lazy ones."""
    from pierhead.cli.bake.hcl.collection_functions import COLLECTIONS
    from pierhead.cli.bake.hcl.number_functions import NUMBERS
    from pierhead.cli.bake.hcl.text_functions import TEXTS

    return {**TEXTS, **NUMBERS, **COLLECTIONS}


def names() -> list[str]:
    """All names."""
    return [*table(), *LAZY]
