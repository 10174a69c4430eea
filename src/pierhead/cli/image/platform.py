"""``--platform os[/arch[/variant]]`` as the API takes it."""

from __future__ import annotations

from pierhead.cli.errors import CliError

_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "armel": "arm",
    "i386": "386",
}


def platform_json(text: str) -> str:
    """The platform as a JSON object. Raises ``CliError`` for what is none."""
    parts = text.lower().split("/")
    allowed = "abcdefghijklmnopqrstuvwxyz0123456789_-."
    if not 1 <= len(parts) <= 3 or not all(
        part and all(char in allowed for char in part) for part in parts
    ):
        raise CliError(f'"{text}": invalid platform: write os[/arch[/variant]]')
    if len(parts) == 1 and parts[0] not in ("linux", "windows", "darwin", "freebsd"):
        parts.insert(0, "linux")
    platform = {"os": parts[0]}
    platform["architecture"] = _ARCHITECTURES.get(parts[1], parts[1]) if len(parts) > 1 else "amd64"
    if len(parts) > 2:
        platform["variant"] = parts[2]
    from pierhead.client.json_fast import dumps

    return dumps(platform)
