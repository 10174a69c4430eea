"""Docker's notes: ``Info -> ...`` beside the real output, in colours on a terminal."""

from __future__ import annotations

_PLAIN = " Info -> "
_FANCY = "\x1b[1m\x1b[106m\x1b[30mi\x1b[0m\x1b[0m \x1b[96mInfo → \x1b[0m\x1b[0m"
_WIDTH = 9


def note(text: str, *, terminal: bool) -> str:
    """``text`` as a note; its further lines stand below the first."""
    if terminal:
        text = text.replace("--platform", "\x1b[1m--platform\x1b[0m")
    out = ["\n", _FANCY if terminal else _PLAIN]
    for at, line in enumerate(text.split("\n")):
        if at:
            out.append(" " * _WIDTH)
        out.append(f"\x1b[3m{line}\x1b[0m\n" if terminal else line + "\n")
    return "".join(out)
