from __future__ import annotations

from support.fake_cli import run


def test_only_what_changes_is_sent() -> None:
    result = run(
        "update -m 64m --memory-swap -1 --cpus 2 --restart on-failure:2 --kernel-memory 1m c",
        {"POST /containers/c/update": {"Warnings": ["careful"]}},
    )
    assert result.request.body == {
        "Memory": 64 << 20,
        "MemorySwap": -1,
        "NanoCpus": 2 * 10**9,
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
    }
    assert result.out == "c\ncareful\n"


def test_failures() -> None:
    assert run("update c").err == "you must provide one or more flags when using this command\n"
    assert "maximum retry count must be an integer" in run("update --restart no:x c").err
    result = run("update -m 1g b c", {"POST /containers/c/update": {}})
    assert (result.code, result.out) == (1, "c\n")
