"""Pierhead: the Docker architecture in one code base. Start reading at ``docs/architecture.md``."""

__version__ = "0.1.0"
