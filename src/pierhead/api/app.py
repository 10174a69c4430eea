"""The Engine API as an aiohttp application."""

from __future__ import annotations

from aiohttp import web

from pierhead.api.context import Engine
from pierhead.engine.settings import Settings

__all__ = ["Engine", "build_app"]


def build_app(engine: Engine, settings: Settings) -> web.Application:
    """The application that serves the Engine API for ``engine``; listening is the daemon's."""
    raise NotImplementedError
