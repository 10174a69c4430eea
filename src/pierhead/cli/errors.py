"""The ways a command ends other than well, and the exit codes that go with them.

Exit codes are the docker CLI's: 1 for most failures, 125 when the command line is
wrong or a container could not be run, 126 and 127 when its command can't be
executed or found, 64 never. ``main`` alone turns these into output and exit.
"""

from __future__ import annotations


class CliError(Exception):
    """A message for stderr, printed as it is, and an exit code.

    ``prefix`` puts the program's name before the message (``pier: ...``), as the docker
    CLI does in some places and not in others.
    """

    def __init__(self, message: str, code: int = 1, *, prefix: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.prefix = prefix


class FlagError(CliError):
    """The command line does not parse; printed with the usage line, exit code 125."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 125)


class ArgumentCountError(CliError):
    """Too few or too many arguments; printed with the usage line, exit code 1."""

    def __init__(self, message: str, *, see: bool = False) -> None:
        super().__init__(message, 1, prefix=True)
        self.see = see


class HelpWanted(Exception):
    """``--help`` was on the command line."""


class Exit(Exception):
    """End with this status and no more output."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class StartFailed(CliError):
    """The daemon could not start the container; ``run`` reads its exit code from the text."""


class NotYet(CliError):
    """The command belongs to Docker's set and is not built yet."""

    def __init__(self, path: str, instead: str = "") -> None:
        message = f"'{path}' is not implemented yet in Pierhead"
        super().__init__(message + (f": {instead}" if instead else ""), 1, prefix=True)
