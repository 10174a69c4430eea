"""``pier image ls --tree``: images with their platforms below them, as docker draws them."""

from __future__ import annotations

from pierhead.cli.format.images import is_dangling
from pierhead.cli.format.units import human_size, text_width, truncate_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Summary = dict[str, Any]

_WARNING = (
    "WARNING: This is an experimental feature. The output may change and shouldn't be depended on."
)
_SPACING = 3
_END = "\x1b[0m"
_TITLE = "\x1b[39m\x1b[1m"
_NAME = "\x1b[34m\x1b[1m"
_NORMAL = "\x1b[39m"
_FAINT = "\x1b[2m"
_YELLOW = "\x1b[93m"
_INFO = "\x1b[1m\x1b[106m\x1b[30mi\x1b[0m\x1b[0m \x1b[96mInfo → \x1b[0m\x1b[0m"
_CHIP = "\x1b[38;5;0m\x1b[48;5;14m U \x1b[0m"

#: Title, width (0: what is left), whether numbers stand to the right.
_COLUMNS = (
    ("Image", 0, False),
    ("ID", 12, False),
    ("Disk usage", 10, True),
    ("Content size", 12, True),
    ("Extra", 5, False),
)


class _Line:
    """An image or one of its platforms: its values in the columns behind the name."""

    __slots__ = ("available", "in_use", "names", "values")

    def __init__(
        self, names: list[str], identifier: str, usage: int, content: int, in_use: bool,
        available: bool = True,
    ) -> None:  # fmt: skip
        self.names = names
        self.values = [truncate_id(identifier), human_size(usage, 3), human_size(content, 3)]
        self.in_use = in_use
        self.available = available


def _platform_text(platform: dict[str, str]) -> str:
    if not platform.get("os"):
        return "unknown"
    names = ("os", "architecture", "variant")
    return "/".join(platform[name] for name in names if platform.get(name))


def _lines(summary: Summary) -> tuple[_Line, list[_Line]]:
    """The image and its platforms."""
    total = 0
    in_use = int(summary.get("Containers") or 0) > 0
    children = []
    for manifest in summary.get("Manifests") or ():
        size = manifest.get("Size") or {}
        total += int(size.get("Content") or 0)
        data = manifest.get("ImageData")
        if manifest.get("Kind") != "image" or not data:
            continue
        used = bool(data.get("Containers"))
        in_use = in_use or used
        children.append(
            _Line(
                [_platform_text(data.get("Platform") or {})],
                str(manifest.get("ID") or ""),
                int(size.get("Total") or 0),
                int(size.get("Content") or 0),
                used,
                bool(manifest.get("Available")),
            )
        )
    image = _Line(
        list(summary.get("RepoTags") or ()),
        str(summary.get("Id") or ""),
        int(summary.get("Size") or 0),
        total,
        in_use,
    )
    return image, children


def tree_text(summaries: Sequence[Summary], width: int, *, everything: bool, terminal: bool) -> str:
    """The whole output; ``width`` is the terminal's, 0 if there is none."""
    images = [
        (int(summary.get("Created") or 0), *_lines(summary))
        for summary in summaries
        if everything or not is_dangling(summary)
    ]
    images.sort(key=lambda image: -image[0])
    return _Drawing([image[1:] for image in images], width, terminal).text()


class _Drawing:
    def __init__(self, images: list[tuple[_Line, list[_Line]]], width: int, terminal: bool) -> None:
        self._images = images
        self._terminal = terminal
        self._full_width = width
        self._width = max(width or 80, 20)
        self._chips = any(child.in_use for _, children in images for child in children)
        self._spaced = any(children for _, children in images)
        self._columns = self._fit()

    def _fit(self) -> list[tuple[str, int, bool]]:
        """Columns that leave room for names, the first as narrow as can be."""
        columns = list(_COLUMNS)
        left = self._width
        for at, (_, width, _) in enumerate(columns):
            if not at:
                continue
            taken = width + _SPACING
            if left - taken < 12:
                del columns[at:]
                break
            left -= taken
        widest = len(columns[0][0])
        for image, children in self._images:
            for name in image.names:
                widest = max(widest, len(name))
            for child in children:
                # docker counts bytes, of which the branch has seven
                widest = max(widest, len(child.names[0]) + 7)
        columns[0] = (columns[0][0], min(left, widest), False)
        return columns

    def text(self) -> str:
        out = [self._color(_YELLOW, _WARNING), "\n", self._legend(), "\n\n"]
        titles = [
            self._cell(at, _TITLE, column[0].upper(), always=True)
            for at, column in enumerate(self._columns)
        ]
        out += ((" " * _SPACING).join(titles), "\n")
        for image, children in self._images:
            out += (self._names(image), self._details(image, _NORMAL))
            if self._spaced:
                out.append("\n")
            for at, child in enumerate(children):
                color = _NORMAL if child.available else _NORMAL + _FAINT
                branch = "└─ " if at == len(children) - 1 else "├─ "
                out.append(self._cell(0, color, branch + child.names[0]))
                out += (self._details(child, color), "\n")
            out.append("\n")
        return "".join(out)

    def _legend(self) -> str:
        if self._terminal:
            legend, width = f"{_INFO} {_CHIP} In Use ", 9 + 1 + 3 + 8
        else:
            legend = " Info ->  U In Use "
            width = len(legend)
        return " " * max(0, self._width - width) + legend

    def _names(self, image: _Line) -> str:
        if not image.names:
            return self._cell(0, _NORMAL + _FAINT, "<untagged>")
        names = sorted(image.names, key=len, reverse=True)
        above = [
            self._color(_NAME, _ellipsis(name, self._full_width)) + "\n" for name in names[:-1]
        ]
        return "".join(above) + self._cell(0, _NAME, names[-1])

    def _details(self, line: _Line, color: str) -> str:
        out = []
        for at in range(1, len(self._columns)):
            out.append(" " * _SPACING)
            if at < 4:
                out.append(self._cell(at, color, line.values[at - 1]))
                continue
            chip = ""
            if self._chips:
                chip = "U" if line.in_use else " "
                if self._terminal:
                    chip = _CHIP if line.in_use else "   "
            out.append(chip + " " * (self._columns[at][1] - self._chip_width(chip)))
        return "".join(out)

    def _chip_width(self, chip: str) -> int:
        return 3 if "\x1b" in chip else len(chip)

    def _cell(self, at: int, color: str, text: str, *, always: bool = False) -> str:
        _, width, right = self._columns[at]
        length = text_width(text)
        if length > width:
            return self._color(color, _ellipsis(text, width), always=always)
        fill = " " * (width - length)
        shown = self._color(color, text, always=always)
        return fill + shown if right else shown + fill

    def _color(self, color: str, text: str, *, always: bool = False) -> str:
        return f"{color}{text}{_END}" if self._terminal or always else text


def _ellipsis(text: str, length: int) -> str:
    """docker's: whatever reaches ``length`` characters loses the last one."""
    if length <= 0 or len(text) < length:
        return text
    return text[: length - 1] + "…"
