from __future__ import annotations

import pytest

from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.findings import OPTION, CheckConfig, config_of
from pierhead.build.dockerfile.parser import parse


def test_options() -> None:
    config = CheckConfig.parse("skip=A, B;experimental=all;error=1")
    assert config.skip == {"A", "B"}
    assert config.experimental_all
    assert config.error
    for bad, message in (
        ("x", 'invalid check option "x"'),
        ("x=y", 'invalid check option "x"'),
        ("error=x", 'failed to parse check option "error=x"'),
    ):
        with pytest.raises(ValueError, match=message):
            CheckConfig.parse(bad)
    with pytest.raises(BuildError, match="failed to parse check options: invalid check option"):
        config_of(parse(b"# check=x\nFROM scratch"))


def test_comments_add_to_what_the_file_says() -> None:
    config = CheckConfig.parse("skip=A").with_comments(["text", "check=skip=B // why"])
    assert config.skip == {"A", "B"}
    assert config.with_comments(["check=nonsense"]) == config
    assert config.with_comments(["check=skip=all"]).skip_all


def test_the_build_arg_takes_the_directives_place() -> None:
    parsed = parse(b"# check=skip=UndefinedVar\nFROM scratch")
    assert not config_of(parsed).wants("UndefinedVar")
    assert config_of(parsed, {OPTION: ""}).wants("UndefinedVar")
    assert not config_of(parsed).wants("InvalidDefinitionDescription")
