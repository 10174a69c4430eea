from __future__ import annotations

import pytest

from pierhead.build.dockerfile import checks, findings
from pierhead.build.dockerfile.ignore import Rules
from pierhead.build.dockerfile.parser import parse

PLATFORM = {"BUILDPLATFORM": "linux/amd64", "TARGETPLATFORM": "linux/amd64"}


def found(text: str, **options: object) -> list[tuple[str, int]]:
    reported = checks.run(parse(text.encode()), platform_args=PLATFORM, **options)  # type: ignore[arg-type]
    return [(one.rule, one.location.first if one.location else 0) for one in reported]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM scratch AS Up", [("StageNameCasing", 1)]),
        ("FROM scratch as up", [("FromAsCasing", 1)]),
        ("FROM scratch\nRUN a \\\n\n b", [("NoEmptyContinuation", 4)]),
        (
            "FROM scratch\nRUN a\nrun b\nCopy a b",
            [("ConsistentInstructionCasing", 3), ("ConsistentInstructionCasing", 4)],
        ),
        ("from scratch\nrun a\nRUN b", [("ConsistentInstructionCasing", 3)]),
        ("FROM scratch AS a\nFROM scratch AS a", [("DuplicateStageName", 2)]),
        ("FROM scratch AS context", [("ReservedStageName", 1)]),
        ("FROM scratch\nCMD a", [("JSONArgsRecommended", 2)]),
        ('FROM scratch\nSHELL ["a"]\nCMD a', []),
        ("FROM scratch\nMAINTAINER a", [("MaintainerDeprecated", 2)]),
        ("ARG BASE=a\nFROM $BSE", [("UndefinedArgInFrom", 2), ("InvalidDefaultArgInFrom", 2)]),
        ("ARG BASE\nFROM a$BASE", []),
        ("ARG BASE\nFROM $BASE", [("InvalidDefaultArgInFrom", 2)]),
        ("FROM scratch\nWORKDIR a\nWORKDIR b", [("WorkdirRelativePath", 2)]),
        ("FROM scratch AS a\nWORKDIR /a\nFROM a\nWORKDIR b", []),
        ("FROM scratch\nENV A=1\nUSER $A$B", [("UndefinedVar", 3)]),
        ("FROM scratch\nARG B\nUSER $B", []),
        ("FROM scratch AS x\nARG B\nFROM x\nUSER $B", []),
        ("ARG B=1\nFROM scratch\nUSER $B", [("UndefinedVar", 3)]),
        ("FROM scratch\nRUN --mount=target=$X true", [("UndefinedVar", 2)]),
        ("FROM scratch\nARG A=$X", [("UndefinedVar", 2)]),
        ("FROM scratch\nCOPY <<E /\n$X\nE", [("UndefinedVar", 2)]),
        ("FROM unknown\nUSER $B", []),
        ('FROM scratch\nCMD ["a"]\nCMD ["b"]', [("MultipleInstructionsDisallowed", 2)]),
        ("FROM scratch\nENV a b\nLABEL c d", [
            ("LegacyKeyValueFormat", 2), ("LegacyKeyValueFormat", 3),
        ]),
        ("FROM --platform=$TARGETPLATFORM scratch", [("RedundantTargetPlatform", 1)]),
        ("FROM --platform=linux/arm64 scratch", [("FromPlatformFlagConstDisallowed", 1)]),
        ("FROM --platform=linux/arm64 scratch AS for-arm64", []),
        ("FROM --platform=$BUILDPLATFORM scratch", []),
        ("FROM scratch\nARG API_KEY\nENV password=1 TOKEN_FILE=x", [
            ("SecretsUsedInArgOrEnv", 2), ("SecretsUsedInArgOrEnv", 3),
        ]),
        ("FROM scratch\nEXPOSE 80/TCP 1:2", [("ExposeProtoCasing", 2), ("ExposeInvalidFormat", 2)]),
        ("# check=skip=JSONArgsRecommended\nFROM scratch\nCMD a\nWORKDIR b", [
            ("WorkdirRelativePath", 4),
        ]),
        ("# check=skip=all\nFROM scratch as A\nCMD a", []),
        ("FROM scratch\n# check=skip=JSONArgsRecommended\nCMD a", []),
        ("FROM scratch\nCOPY a b", []),
        ("# a text\n#\nFROM scratch", []),
        ("# check=experimental=all\n\n# some text\nFROM scratch AS base", [
            ("InvalidDefinitionDescription", 4),
        ]),
    ],
)  # fmt: skip
def test_rules(text: str, expected: list[tuple[str, int]]) -> None:
    assert sorted(found(text)) == sorted(expected)


def test_what_the_base_image_has_is_defined() -> None:
    text = "FROM x\nUSER $USERNAME$NOBODY"
    assert found(text, base_env=lambda stage: {"USERNAME": "u"}) == [("UndefinedVar", 2)]


def test_unneeded_stages_are_looked_at_only_by_check() -> None:
    text = "FROM scratch AS a\nCMD a\nFROM scratch AS b\nRUN --mount=from=a true"
    assert found(text + "\nFROM scratch") == [("JSONArgsRecommended", 2)]
    assert found(text + "\nFROM scratch", all_stages=False) == []
    assert found(text, target="b") == [("JSONArgsRecommended", 2)]
    assert found(text, target="a") == [("JSONArgsRecommended", 2)]


def test_ignored_files() -> None:
    text = "FROM scratch\nCOPY a.md /\nADD http://x/a.md b.md /\nCOPY --from=x a.md /\nCOPY . /"
    rules = Rules(["*.md"])
    assert found(text, ignore=rules) == [("CopyIgnoredFile", 2), ("CopyIgnoredFile", 3)]
    assert found(text, ignore=Rules(["*.md", "!a.md"])) == []
    # Docker warns of this one as it matches "." with the patterns.
    assert found("FROM scratch\nCOPY . /", ignore=Rules(["*"])) == [("CopyIgnoredFile", 2)]


def test_findings_are_worded() -> None:
    parsed = parse(b"FROM scratch\nENV DIR_ASSETS=a\nUSER $DIR_ASSET")
    (one,) = checks.run(parsed, platform_args={})
    assert one.text == "Usage of undefined variable '$DIR_ASSET' (did you mean $DIR_ASSETS?)"
    assert one.description == "Variables should be defined before their use"
    assert one.url == "https://docs.docker.com/go/dockerfile/rule/undefined-var/"
    wrong = findings.finding("InvalidBaseImagePlatform", None, "a", "linux/amd64", "linux/arm64")
    assert wrong.text == (
        'Base image a was pulled with platform "linux/arm64", expected "linux/amd64" for current'
        " build"
    )


def test_errors_on_demand() -> None:
    parsed = parse(b"# check=error=true\nFROM scratch\nCMD a\nWORKDIR b")
    reported = checks.run(parsed, platform_args={})
    assert checks.failure(parsed, reported) == (
        "lint violation found for rules: JSONArgsRecommended, WorkdirRelativePath"
    )
    assert checks.failure(parsed, []) is None
    off = {findings.OPTION: "skip=all;error=true"}
    assert checks.run(parsed, platform_args={}, build_args=off) == []


def test_reachable() -> None:
    parsed = parse(
        b"FROM a AS one\nFROM b AS two\nFROM c AS three\nCOPY --from=0 x y\nFROM three\n"
    )
    assert checks.reachable(parsed) == {0, 2, 3}
    assert checks.reachable(parsed, "two") == {1}
