from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.errors import ArgumentCountError, FlagError, HelpWanted
from pierhead.cli.flags import (
    check_count,
    go_quote,
    parse,
    parse_bytes,
    parse_decimal,
    parse_duration,
    parse_int,
    split_csv,
)

FLAGS: tuple[tuple[Any, ...], ...] = (
    ("all", "a", "bool", False, "All"),
    ("tty", "t", "bool", False, "Terminal"),
    ("proxy", "", "bool", True, "Proxy"),
    ("name", "n", "string", "", "Name"),
    ("env", "e", "list", None, "Environment"),
    ("slice", "", "stringSlice", None, "Slices"),
    ("memory", "m", "bytes", 0, "Memory"),
    ("last", "", "int", -1, "Last"),
    ("weight", "", "uint16", 0, "Weight"),
    ("opt", "", "map", None, "Options"),
    ("cpus", "", "decimal", 0, "CPUs"),
    ("interval", "", "duration", 0, "Interval"),
    ("ip", "", "ip", "", "Address"),
    ("title", "", "alias", "name", ""),
)


@pytest.mark.parametrize(
    ("line", "changed", "rest"),
    [
        ("", {}, []),
        ("-at x", {"all": True, "tty": True}, ["x"]),
        ("x -a y", {"all": True}, ["x", "y"]),
        ("-a -- -t", {"all": True}, ["-t"]),
        ("--all=false --proxy=F", {"all": False, "proxy": False}, []),
        ("-a=0 -t=TRUE", {"all": False, "tty": True}, []),
        ("--name v", {"name": "v"}, []),
        ("--name=v=w", {"name": "v=w"}, []),
        ("--name= x", {"name": ""}, ["x"]),
        ("-nv", {"name": "v"}, []),
        ("-n=v", {"name": "v"}, []),
        ("-n v -n w", {"name": "w"}, []),
        ("-atnv", {"all": True, "tty": True, "name": "v"}, []),
        ("-tn -a", {"tty": True, "name": "-a"}, []),
        ("-e A -eB --env=C,D", {"env": ["A", "B", "C,D"]}, []),
        ("--slice a,b --slice c", {"slice": ["a", "b", "c"]}, []),
        ("--opt a=1 --opt b --opt a=2", {"opt": {"a": "2", "b": ""}}, []),
        ("-m 1.5g --last 0x10 --weight 7", {"memory": 3 << 29, "last": 16, "weight": 7}, []),
        ("--cpus 1.5 --interval 1m30s", {"cpus": 1500000000, "interval": 90 * 10**9}, []),
        ("--ip ::1 - x", {"ip": "::1"}, ["-", "x"]),
        ("--title v", {"name": "v"}, []),
        ("--help=false x", {}, ["x"]),
    ],
)
def test_parse(line: str, changed: dict[str, Any], rest: list[str]) -> None:
    options, args = parse(FLAGS, line.split())
    assert {name: options[name] for name in options.changed_names} == changed
    assert args == rest


def test_flags_end_at_the_first_argument_of_run() -> None:
    options, args = parse(FLAGS, ["-a", "image", "-t", "--", "x"], interspersed=False)
    assert (options.flag("tty"), args) == (False, ["image", "-t", "--", "x"])


def test_defaults_are_not_shared_between_calls() -> None:
    parse(FLAGS, ["-e", "A", "--opt", "a=1"])
    options, _ = parse(FLAGS, [])
    assert (options["env"], options["opt"], options["proxy"], options["last"]) == ([], {}, True, -1)
    assert not options.changed("env")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--foo", "unknown flag: --foo"),
        ("--foo=1", "unknown flag: --foo"),
        ("-ax", "unknown shorthand flag: 'x' in -x"),
        ("-xa", "unknown shorthand flag: 'x' in -xa"),
        ("--name", "flag needs an argument: --name"),
        ("-an", "flag needs an argument: 'n' in -n"),
        ("--=x", "bad flag syntax: --=x"),
        ("---x", "bad flag syntax: ---x"),
        (
            "-m x",
            'invalid argument "x" for "-m, --memory" flag: invalid size: \'x\'',
        ),
        (
            "--all=maybe",
            'invalid argument "maybe" for "-a, --all" flag: strconv.ParseBool: '
            'parsing "maybe": invalid syntax',
        ),
        (
            "--last x",
            'invalid argument "x" for "--last" flag: strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (
            "--weight 70000",
            'invalid argument "70000" for "--weight" flag: strconv.ParseUint: parsing "70000": '
            "value out of range",
        ),
        (
            "--cpus x",
            'invalid argument "x" for "--cpus" flag: failed to parse x as a rational number',
        ),
        (
            "--interval 5",
            'invalid argument "5" for "--interval" flag: time: missing unit in duration "5"',
        ),
        ("--ip x", 'invalid argument "x" for "--ip" flag: failed to parse IP: "x"'),
        (
            "--help=x",
            'invalid argument "x" for "--help" flag: strconv.ParseBool: parsing "x": '
            "invalid syntax",
        ),
    ],
)
def test_errors(line: str, message: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse(FLAGS, line.split())
    assert (caught.value.message, caught.value.code) == (message, 125)


@pytest.mark.parametrize("line", ["--help", "-h", "-ah", "--help=true"])
def test_help(line: str) -> None:
    with pytest.raises(HelpWanted):
        parse(FLAGS, line.split())


def test_a_command_may_have_a_help_flag_of_its_own() -> None:
    flags = (("help", "", "bool", False, "Help"), ("hostname", "h", "string", "", "Host name"))
    with pytest.raises(HelpWanted):
        parse(flags, ["--help"])
    assert parse(flags, ["-h", "x"])[0]["hostname"] == "x"


def test_a_converter_is_imported_on_use() -> None:
    flags = (("label", "", "list", None, "Label", "container.values:label"),)
    assert parse(flags, ["--label", "a=b"])[0]["label"] == ["a=b"]
    with pytest.raises(FlagError, match="invalid label '=b': empty name"):
        parse(flags, ["--label", "=b"])


@pytest.mark.parametrize(
    ("bounds", "given", "message"),
    [
        ((0, 0), 1, "'pier x' accepts no arguments"),
        ((1, 1), 0, "'pier x' requires 1 argument"),
        ((2, 2), 3, "'pier x' requires 2 arguments"),
        ((1, None), 0, "'pier x' requires at least 1 argument"),
        ((0, 1), 2, "'pier x' requires at most 1 argument"),
        ((1, 2), 3, "'pier x' requires at least 1 and at most 2 arguments"),
    ],
)
def test_argument_counts(bounds: tuple[int, int | None], given: int, message: str) -> None:
    with pytest.raises(ArgumentCountError) as caught:
        check_count("pier x", ["a"] * given, bounds)
    assert (caught.value.message, caught.value.code) == (message, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-1", -1),
        ("10", 10),
        ("10b", 10),
        ("1k", 1024),
        ("2MB", 2 << 20),
        ("1.5 GiB", 3 << 29),
    ],
)
def test_bytes(text: str, value: int) -> None:
    assert parse_bytes(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1h", 3600 * 10**9),
        ("-1.5s", -1500000000),
        ("1ms2us3ns", 1002003),
        ("1.5µs", 1500),
    ],
)
def test_durations(text: str, value: int) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["", "x", "1", "1x", ".s", "1..2s", "-"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="time: "):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "value"), [("1", 10**9), (".5", 5 * 10**8), ("1/4", 25 * 10**7), ("-1.5", -15 * 10**8)]
)
def test_decimals(text: str, value: int) -> None:
    assert parse_decimal(text) == value


@pytest.mark.parametrize("text", ["1/3", "x", "1/0", "", "0.0000000001"])
def test_no_decimals(text: str) -> None:
    with pytest.raises(ValueError, match=r"rational|precise"):
        parse_decimal(text)


def test_integers() -> None:
    assert [parse_int(text) for text in ("0b11", "0o17", "017", "1_000", "-5")] == [
        3,
        15,
        15,
        1000,
        -5,
    ]
    for text in ("", "-", "0x", "1.0", " 1", "٣"):
        with pytest.raises(ValueError, match="invalid syntax"):
            parse_int(text)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", []),
        ("a,b", ["a", "b"]),
        ("a,", ["a", ""]),
        ('"a,b",c', ["a,b", "c"]),
        ('"a""b"', ['a"b']),
        ('"x",""', ["x", ""]),
    ],
)
def test_csv(text: str, fields: list[str]) -> None:
    assert split_csv(text) == fields


@pytest.mark.parametrize("text", ['a"b', '"a', '"a"b'])
def test_no_csv(text: str) -> None:
    with pytest.raises(ValueError, match=r'parse error on line 1, column [0-9]+: .*"'):
        split_csv(text)


def test_go_quote() -> None:
    assert go_quote('a"\\\n\t\x01ü') == '"a\\"\\\\\\n\\t\\x01ü"'
