"""Two command lines, one daemon: the same words must have the same effect on paper.

What may differ is the program's own name, and what random or clock-driven parts a test
names itself (``same(..., ignore=r"...")``).
"""

from __future__ import annotations

import re

from support.command import Command, Result

_NAMES = re.compile(r"\b(docker|pier)\b")


def plain(text: str, ignore: str) -> str:
    """The text without the program's name and without what ``ignore`` matches."""
    text = _NAMES.sub("PROG", text)
    return re.sub(ignore, "", text) if ignore else text


class SideBySide:
    """``same("ps", "-a")`` runs both, compares, and returns what ours said."""

    def __init__(self, stock: Command, ours: Command) -> None:
        self.stock = stock
        # Answers differ between API versions, so both have to ask for the same one.
        version = stock("version", "-f", "{{.Client.APIVersion}}").out
        self.ours = Command(ours.name, ours.argv, {**ours.env, "DOCKER_API_VERSION": version})

    def same(
        self,
        *args: str,
        ignore: str = "",
        input: str | None = None,
        unordered: bool = False,
        stderr: bool = True,
    ) -> Result:
        """Standard output, standard error and exit status are the same.

        ``unordered`` compares the lines of the output as a set: Go's maps have no order.
        ``stderr=False`` compares only whether there is any.
        """
        stock = self.stock(*args, input=input, check=False)
        ours = self.ours(*args, input=input, check=False)
        both = f"{stock}\n\n{ours}"
        assert ours.returncode == stock.returncode, f"exit status\n{both}"
        out, wanted = plain(ours.stdout, ignore), plain(stock.stdout, ignore)
        if unordered:
            out, wanted = "\n".join(sorted(out.split("\n"))), "\n".join(sorted(wanted.split("\n")))
        assert out == wanted, f"standard output\n{both}"
        if stderr:
            assert plain(ours.stderr, ignore) == plain(stock.stderr, ignore), f"stderr\n{both}"
        else:
            assert bool(ours.stderr) == bool(stock.stderr), f"stderr\n{both}"
        return ours

    def same_effect(self, *args: str, undo: tuple[str, ...] = (), ignore: str = "") -> None:
        """For commands that change something: ours, ``undo``, then the stock one."""
        ours = self.ours(*args, check=False)
        if undo:
            self.ours(*undo, check=False)
        stock = self.stock(*args, check=False)
        if undo:
            self.stock(*undo, check=False)
        both = f"{stock}\n\n{ours}"
        assert ours.returncode == stock.returncode, f"exit status\n{both}"
        assert plain(ours.stdout, ignore) == plain(stock.stdout, ignore), f"standard output\n{both}"
        assert plain(ours.stderr, ignore) == plain(stock.stderr, ignore), f"stderr\n{both}"
