from __future__ import annotations

import inspect

from pierhead.build.dockerfile.rules import RULES


def test_every_rule_is_worded_and_has_a_page() -> None:
    for name, rule in RULES.items():
        count = len(inspect.signature(rule.text).parameters)
        assert rule.text(*["x"] * count)
        assert rule.name == name
        assert rule.url.startswith("https://docs.docker.com/go/dockerfile/rule/") or (
            name == "InvalidBaseImagePlatform"
        )
    assert len(RULES) == 22


def test_suggestions_are_added() -> None:
    assert RULES["UndefinedVar"].text("FO", "FOO") == (
        "Usage of undefined variable '$FO' (did you mean $FOO?)"
    )
    assert RULES["UndefinedVar"].text("FO", "") == "Usage of undefined variable '$FO'"
