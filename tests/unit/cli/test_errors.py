from __future__ import annotations

from pierhead.cli.errors import CliError, FlagError, NotYet, StartFailed


def test_codes() -> None:
    assert (CliError("x").code, FlagError("x").code, StartFailed("x").code) == (1, 125, 1)


def test_not_yet_names_the_way_out() -> None:
    error = NotYet("build", "use x")
    assert (error.message, error.prefix) == (
        "'build' is not implemented yet in Pierhead: use x",
        True,
    )
    assert NotYet("bake").message == "'bake' is not implemented yet in Pierhead"
