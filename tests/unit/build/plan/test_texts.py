"""The words of histories, as Go's fmt writes them."""

from __future__ import annotations

import pytest

from pierhead.build.dockerfile import gotext
from pierhead.build.plan import texts
from pierhead.oci.image_config import HealthcheckConfig

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", '"a"'),
        ('say "hi"\n', '"say \\"hi\\"\\n"'),
        ("tab\t\\", '"tab\\t\\\\"'),
        ("\x01\x7f", '"\\x01\\x7f"'),
        ("é→", '"é→"'),
        ("\u200b", '"\\u200b"'),
    ],
)
def test_quotes_as_go_does(text: str, expected: str) -> None:
    assert gotext.quote(text) == expected


@pytest.mark.parametrize(
    ("ns", "expected"),
    [
        (0, "0s"),
        (5 * SECOND, "5s"),
        (90 * SECOND, "1m30s"),
        (3600 * SECOND, "1h0m0s"),
        (1_500_000_000, "1.5s"),
        (20_000_000, "20ms"),
        (1_500, "1.5µs"),
        (7, "7ns"),
        (-5 * SECOND, "-5s"),
    ],
)
def test_durations_as_go_does(ns: int, expected: str) -> None:
    assert texts.duration(ns) == expected


def test_healthchecks() -> None:
    check = HealthcheckConfig(test=["CMD-SHELL", "true"], interval=30 * SECOND, retries=3)
    assert texts.healthcheck(check) == (
        "{Test:[CMD-SHELL true] Interval:30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:3}"
    )
    assert texts.healthcheck_classic(check) == ('&{["CMD-SHELL" "true"] "30s" "0s" "0s" \'\\x03\'}')


def test_run_in_both_ways() -> None:
    args = ["/bin/sh", "-c", "make"]
    assert texts.run(args, [], classic=True) == "/bin/sh -c make"
    assert texts.run(args, [], classic=True, proxies=True) == "|0 /bin/sh -c make"
    assert texts.run(args, [("A", "1")], classic=False) == "RUN |1 A=1 /bin/sh -c make # buildkit"


def test_what_runs_nothing_in_the_classic() -> None:
    assert texts.nop("CMD x", None) == "/bin/sh -c #(nop)  CMD x"
    assert texts.nop("WORKDIR /x", ["/bin/bash", "-c"], single=True) == (
        "/bin/bash -c #(nop) WORKDIR /x"
    )
