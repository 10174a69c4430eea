"""Networks at the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.api import fake_engine, serving


class Networks:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def list(self, filters: Any) -> Any:
        return [{"Id": "1", "EnableIPv4": True}]

    def inspect(self, ref: str, **options: Any) -> Any:
        return {"Id": ref, "Containers": {}, "Status": {}}

    async def create(self, request: Any) -> tuple[str, str]:
        self.calls.append(request)
        return "n" * 64, ""

    async def connect(self, *args: Any) -> None:
        self.calls.append(args)

    async def disconnect(self, *args: Any, **options: Any) -> None:
        self.calls.append((args, options))

    async def prune(self, filters: Any) -> Any:
        return ["old"]


async def test_networks(tmp_path: Path) -> None:
    networks = Networks()
    async with serving(fake_engine(tmp_path, networks=networks), tmp_path) as ask:
        assert (await ask("GET", "/v1.47/networks")).json() == [{"Id": "1"}]
        assert "Containers" in (await ask("GET", "/v1.27/networks")).json()[0]
        assert "Status" not in (await ask("GET", "/v1.51/networks/x")).json()
        made = await ask("POST", "/v1.47/networks/create", {"Name": "n", "EnableIPv4": False})
        assert (made.status, made.json()) == (201, {"Id": "n" * 64, "Warning": ""})
        assert networks.calls[-1].enable_ipv4 is None
        body = {"Container": "c", "EndpointConfig": {"MacAddress": "02::", "Aliases": ["a"]}}
        assert (await ask("POST", "/v1.53/networks/n/connect", body)).status == 200
        assert networks.calls[-1][2].mac_address == ""
        await ask("POST", "/v1.54/networks/n/connect", body)
        assert networks.calls[-1][2].mac_address == "02::"
        await ask("POST", "/networks/n/disconnect", {"Container": "c", "Force": True})
        assert networks.calls[-1] == (("n", "c"), {"force": True})
        assert (await ask("POST", "/networks/prune")).json() == {"NetworksDeleted": ["old"]}
