from __future__ import annotations

from pierhead.engine.containers.stats import parse_net_dev

TEXT = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:    1234      10    1    2    0     0          0         0      567      20    3    4    0     0       0          0
"""  # noqa: E501


def test_interfaces_but_loopback() -> None:
    assert parse_net_dev(TEXT) == {
        "eth0": {
            "rx_bytes": 1234,
            "rx_packets": 10,
            "rx_errors": 1,
            "rx_dropped": 2,
            "tx_bytes": 567,
            "tx_packets": 20,
            "tx_errors": 3,
            "tx_dropped": 4,
        }
    }
    assert parse_net_dev("") == {}
