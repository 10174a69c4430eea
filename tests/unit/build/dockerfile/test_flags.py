from __future__ import annotations

import pytest

from pierhead.build.dockerfile.flags import FlagError, Flags, Kind

KINDS = {"link": Kind.BOOL, "from": Kind.TEXT, "exclude": Kind.LIST}


def test_what_is_given() -> None:
    flags = Flags(["--link", "--from=a", "--exclude=x", "--exclude=y="], KINDS)
    assert flags.is_true("link")
    assert flags.text("from") == "a"
    assert flags.all("exclude") == ("x", "y=")
    nothing = Flags([], KINDS)
    assert nothing.given("link") is None
    assert nothing.text("from", "default") == "default"
    assert Flags(["--link=FALSE"], KINDS).given("link") is False
    assert Flags(["--", "--link"], KINDS).given("link") is None


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--lnk", "unknown flag: --lnk (did you mean link?)"),
        ("--wholly-other=1", "unknown flag: --wholly-other"),
        ("--from", "missing a value on flag: --from"),
        ("--link=", "missing a value on flag: --link"),
        ("--link=maybe", "expecting boolean value for flag --link, not: maybe"),
        ("x", "arg should start with -- : x"),
    ],
)
def test_faults(argument: str, message: str) -> None:
    with pytest.raises(FlagError) as caught:
        Flags([argument], KINDS)
    assert str(caught.value) == message


def test_only_lists_come_twice() -> None:
    with pytest.raises(FlagError, match="duplicate flag specified: --from"):
        Flags(["--from=a", "--from=b"], KINDS)
