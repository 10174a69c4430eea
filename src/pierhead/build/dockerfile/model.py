"""A Dockerfile as its parser gives it: stages of instructions, and where each one stands. No IO.

Nothing here is expanded: words are as written, with their quotes (``words`` expands them),
but flags are split off, heredocs are read, and JSON forms are lists. Lines count from 1.
Instructions that take ``ONBUILD`` are parsed from its text by ``parse_instruction``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Lines ``first`` to ``last`` of ``file`` ("" is the Dockerfile itself, else an INCLUDE's)."""

    first: int
    last: int
    file: str = ""

    @property
    def lines(self) -> tuple[int, int]:
        return self.first, self.last


@dataclass(frozen=True, slots=True)
class SourceText:
    """The bytes of a Dockerfile and of what it includes, for messages."""

    name: str
    data: bytes
    included: Mapping[str, bytes] = field(default_factory=dict)

    def lines(self, file: str = "") -> list[str]:
        """Lines without their ends; undecodable bytes come back as U+FFFD."""
        data = self.included.get(file, b"") if file else self.data
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
        return [line.removesuffix("\r") for line in text.split("\n")]

    def label(self, location: Range) -> str:
        """``Dockerfile:12``: the first line of a range, for people."""
        return f"{location.file or self.name}:{location.first}"


@dataclass(frozen=True, slots=True)
class ParserWarning:
    """Something the parser saw that is allowed and odd; ``checks`` turns it into a finding."""

    rule: str
    text: str
    location: Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Heredoc:
    """``<<NAME`` and the lines down to ``NAME``, as they stand in the file."""

    name: str
    content: str
    expand: bool = True
    """False if any part of the name was quoted."""
    chomp: bool = False
    """``<<-``: leading tabs of each line go (``text`` does that)."""

    @property
    def text(self) -> str:
        if not self.chomp:
            return self.content
        return "".join(line.lstrip("\t") for line in self.content.splitlines(keepends=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What all have. ``original`` is the logical line (continuations joined, no heredocs)."""

    original: str
    location: Range
    comments: tuple[str, ...] = ()
    """The comment lines directly above, without "#"."""
    keyword: str = ""
    """As written (``Run``), for the casing check; ``name`` is in capitals."""

    @property
    def name(self) -> str:
        return self.keyword.upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellForm(Instruction):
    """RUN, CMD, ENTRYPOINT: a text for the shell, or an argument list (JSON form)."""

    cmd: str | tuple[str, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()

    @property
    def is_shell(self) -> bool:
        return isinstance(self.cmd, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(ShellForm):
    """``mounts`` and ``devices`` are flag texts: ``mounts.parse``, ``mounts.parse_device``."""

    mounts: tuple[str, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(ShellForm):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(ShellForm):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Files(Instruction):
    """What COPY and ADD have in common."""

    sources: tuple[str, ...] = ()
    """Paths, globs, URLs in their order; heredocs are apart."""
    inline: tuple[Heredoc, ...] = ()
    destination: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Files):
    source: str = ""
    """``--from``: a stage's name or number, an image, a named context; "" is the context."""
    parents: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Files):
    keep_git_dir: bool | None = None
    checksum: str = ""
    unpack: bool | None = None
    """``None``: archives of the context are unpacked, downloads are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    key: str
    value: str
    legacy: bool = False
    """Written ``KEY value``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgPair:
    key: str
    value: str | None = None
    """``None``: no default (``ARG X``); "" is an empty one (``ARG X=``)."""
    description: str = ""
    """From the comment ``# X says what`` above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    pairs: tuple[ArgPair, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    ports: tuple[str, ...] = ()
    """As written, sorted as Docker sorts them; ``80``, ``80/tcp``, ``8000-8010``, ``$P``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignal(Instruction):
    signal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck(Instruction):
    """``test`` as in the image config: ``("NONE",)``, ``("CMD", ...)``, ``("CMD-SHELL", text)``.

    Times are nanoseconds; 0 is "inherit".
    """

    test: tuple[str, ...] = ()
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBuild(Instruction):
    trigger: str = ""
    """The text after ONBUILD, heredocs with it, as the image config keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    shell: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    maintainer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """From one FROM to the next."""

    base: str
    """As written; may have variables."""
    platform: str = ""
    name: str = ""
    """In small letters; "" if it has none."""
    instructions: tuple[Instruction, ...] = ()
    location: Range
    original: str = ""
    keyword: str = "FROM"
    as_keyword: str = ""
    written_name: str = ""
    """The name before it was put into small letters."""
    comments: tuple[str, ...] = ()
    description: str = ""
    """From the comment ``# name says what`` above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    directives: Mapping[str, str]
    """``syntax``, ``escape``, ``check``, ``pier`` as written, names in small letters."""
    directive_locations: Mapping[str, Range] = field(default_factory=dict)
    escape: str = "\\"
    args: tuple[Arg, ...] = ()
    """Before the first FROM: global."""
    stages: tuple[Stage, ...] = ()
    warnings: tuple[ParserWarning, ...] = ()
    source: SourceText

    def stage_index(
        self, name: str, before: int | None = None, *, numbers: bool = False
    ) -> int | None:
        """Index of the stage of that name, in any case; the last one if there are several.

        ``before`` leaves out that stage and those after it: FROM and ``--from`` look back only.
        ``numbers`` (``COPY --from`` only) lets a stage's number name it.
        """
        stages = self.stages if before is None else self.stages[:before]
        if numbers and name.isascii() and name.isdigit() and len(name) < 10:
            return int(name) if int(name) < len(stages) else None
        for index in range(len(stages) - 1, -1, -1):
            if stages[index].name and stages[index].name == name.lower():
                return index
        return None
