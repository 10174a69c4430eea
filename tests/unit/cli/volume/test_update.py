from __future__ import annotations

from support.fake_cli import run


def test_only_cluster_volumes() -> None:
    assert run("volume update v", {"GET /volumes/v": {"Name": "v"}}).err == (
        "can only update cluster volumes\n"
    )
    answers = {
        "GET /volumes/v": {"ClusterVolume": {"ID": "x", "Version": {"Index": 4}, "Spec": {}}},
        "PUT /volumes/x": None,
    }
    result = run("volume update --availability drain v", answers)
    assert result.requests[1].query == {"version": 4}
    assert result.requests[1].body == {"Spec": {"Availability": "drain"}}
