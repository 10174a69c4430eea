"""What is kept between builds: contexts' contents, downloads, checkouts.

Light to import: pierd asks at its start what a kill left, and ``system df`` what there is.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pierhead.store.database import Database

DIRECTORIES: Final = {"context": "packs", "http": "http", "git": "git"}
"""Kind of source to the directory below ``builds`` that has them."""
_DESCRIPTIONS: Final = {
    "context": "local source for {}",
    "http": "http url {}",
    "git": "git snapshot for {}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSource:
    """Something that is kept to be asked for less next time. Times are ns since 1970."""

    id: str
    kind: str
    """``context``, ``http`` or ``git``."""
    description: str
    size_bytes: int
    created_ns: int
    used_ns: int
    uses: int
    in_use: bool


def usage(db: Database, in_use: Callable[[str], bool]) -> list[KeptSource]:
    """All that is kept."""
    found = []
    for key, size, created, used, uses, record in db.rows(
        "SELECT key, size_bytes, created_ns, used_ns, uses, record FROM build_sources"
    ):
        facts = json.loads(record)
        found.append(
            KeptSource(
                id=key,
                kind=facts["kind"],
                description=_DESCRIPTIONS[facts["kind"]].format(facts["name"]),
                size_bytes=size,
                created_ns=created,
                used_ns=used,
                uses=uses,
                in_use=in_use(key),
            )
        )
    return found


def recover(root: Path, known: set[str]) -> set[str]:
    """Delete what no row knows of; the keys of rows that have nothing any more."""
    _empty(root / "tmp")
    found = set()
    for kind, name in DIRECTORIES.items():
        directory = root / name
        for path in directory.iterdir() if directory.is_dir() else ():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)
                continue
            found.add(path.name)
            if kind == "context":
                from pierhead.build.files import kept  # not where nothing was ever built

                kept.sweep(path, kept.load(path).segments, before=time.time_ns())
    return known - found


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
