"""``--platform os[/arch[/variant]]``: read as containerd reads it, sent as the API takes it."""

from __future__ import annotations

from pierhead.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.main import Cli

_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_VERSION = _WORD | {"."}
_OSES = frozenset(
    "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 "
    "solaris windows zos".split()
)
_ARCHITECTURES = frozenset(
    "386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 "
    "mips64le mips64p32 mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm".split()
)
_BAD = ": invalid argument"


def parse_platform(text: str) -> dict[str, str]:
    """The parts that are set of ``os``, ``os.version``, ``architecture``, ``variant``.

    Raises ``CliError`` in containerd's words.
    """
    shown = _quoted(text)
    if "*" in text:
        raise CliError(f"{shown}: wildcards not yet supported{_BAD}")
    parts = text.split("/", 3)
    os, version = _os(parts[0], shown)
    for part in parts[1:]:
        if not part or not _WORD.issuperset(part):
            raise CliError(
                f"{_quoted(part)} is an invalid component of {shown}: platform specifier "
                f'component must match "^[A-Za-z0-9_-]+$"{_BAD}'
            )
    if len(parts) == 1:
        if os in _OSES:
            return _platform(os, version, _machine(), "")
        architecture, variant = _architecture(parts[0], "")
        if architecture not in _ARCHITECTURES:
            raise CliError(f"{shown}: unknown operating system or architecture{_BAD}")
        if architecture == "arm" and variant == "v7":
            variant = ""
        return _platform("linux", "", architecture, variant)
    if len(parts) == 2:
        architecture, variant = _architecture(parts[1], "")
        if architecture == "arm" and variant == "v7":
            variant = ""
        return _platform(os, version, architecture, variant)
    if len(parts) == 3:
        architecture, variant = _architecture(parts[1], parts[2])
        if architecture == "arm64" and not variant:
            variant = "v8"
        return _platform(os, version, architecture, variant)
    raise CliError(f"{shown}: cannot parse platform specifier{_BAD}")


def platform_json(text: str) -> str:
    """The platform as the JSON object that newer endpoints take. Raises ``CliError``."""
    from pierhead.client.json_fast import dumps

    return dumps(parse_platform(text))


def platform_text(text: str) -> str:
    """The platform in normal form: ``linux/arm/v6``. Raises ``CliError``."""
    platform = parse_platform(text)
    names = ("os", "architecture", "variant")
    return "/".join(platform[name] for name in names if name in platform)


def checked_platform(cli: Cli, text: str, since: str, *, prefix: str = "") -> str | None:
    """``platform_json`` of a flag that needs API ``since``; None if it isn't given.

    ``prefix`` stands before containerd's complaint.
    """
    if not text:
        return None
    from pierhead.cli.requires import need_api

    need_api(cli, "platform", since)
    try:
        return platform_json(text)
    except CliError as error:
        raise CliError(prefix + error.message) from None


def _platform(os: str, version: str, architecture: str, variant: str) -> dict[str, str]:
    named = {
        "os": os,
        "architecture": architecture,
        "os.version": version,
        "variant": variant,
    }
    return {name: value for name, value in named.items() if value}


def _os(part: str, shown: str) -> tuple[str, str]:
    """``windows(10.0)`` as its two parts."""
    name, bracket, version = part.partition("(")
    good = bool(name) and _WORD.issuperset(name)
    if bracket:
        good = good and version.endswith(")") and _VERSION.issuperset(version[:-1])
    if not good:
        raise CliError(
            f"{_quoted(part)} is an invalid OS component of {shown}: OSAndVersion specifier "
            'component must match "^([A-Za-z0-9_-]+)(?:\\\\(([A-Za-z0-9_.-]*)\\\\))?$"' + _BAD
        )
    name = name.lower()
    return "darwin" if name == "macos" else name, version[:-1]


def _architecture(name: str, variant: str) -> tuple[str, str]:
    name, variant = name.lower(), variant.lower()
    if name == "i386":
        return "386", ""
    if name in ("x86_64", "x86-64", "amd64"):
        return "amd64", "" if variant == "v1" else variant
    if name in ("aarch64", "arm64"):
        if variant in ("8", "v8", "v8.0"):
            return "arm64", ""
        return "arm64", "v9" if variant in ("9", "9.0", "v9.0") else variant
    if name == "armhf":
        return "arm", "v7"
    if name == "armel":
        return "arm", "v6"
    if name == "arm":
        if variant in ("", "7"):
            return "arm", "v7"
        return "arm", f"v{variant}" if variant in ("5", "6", "8") else variant
    return name, variant


def _machine() -> str:
    """This machine's architecture by Go's name."""
    import posix

    name = posix.uname().machine
    if name.startswith("armv"):
        return "arm"
    return {"i686": "386", "i586": "386"}.get(name) or _architecture(name, "")[0]


def _quoted(text: str) -> str:
    from pierhead.client.json_fast import dumps

    return dumps(text)
