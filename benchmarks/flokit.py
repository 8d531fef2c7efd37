"""A FloKit for the benchmark, in its own process: every reply takes 50 ms, and calls are counted by key.

``GET /calls`` returns the counts, and ``GET /ends`` when each sync ends, by key and ID in seconds since 1970. It
validates nothing; the sandbox's FloKit does.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp import web

TYPES = ("stripe", "revenuecat", "adjust", "appsflyer", "adapty", "google_play", "app_store_connect", "warehouse")
BEFORE = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
"""When all synced last: so recently that none is overdue, which would be an incident and cost more than a follow-up."""


DOWN: Final = "down"
"""A key that ends so is answered with 503."""
HANGS: Final = "hangs"
"""A key that ends so gets no answer."""
SYNCING: Final = "syncing"
"""The integrations of a key that ends so are always syncing."""


NEVER_S: Final = 3600.0


class Flokit:
    """Integrations that sync for a fixed time and then succeed. Any ID exists.

    Args:
        latency_s: how long each reply takes.
        integrations: how many a list has.
        sync_s: how long a sync takes.
        syncing: whether integrations that nobody synced are always syncing.
    """

    def __init__(self, *, latency_s: float, integrations: int, sync_s: float, syncing: bool = False) -> None:
        self._syncing = syncing
        self._latency_s = latency_s
        self._sync_s = sync_s
        self._types = {f"int_{number:05d}": TYPES[number % len(TYPES)] for number in range(integrations)}
        self._ends_at: dict[tuple[str, str], float] = {}
        self._calls: dict[str, Counter[str]] = {}

    def application(self) -> web.Application:
        """Return the routes."""
        application = web.Application()
        application.router.add_get("/calls", self._tell_calls)
        application.router.add_get("/ends", self._tell_ends)
        application.router.add_get("/v1/integrations", self._list)
        application.router.add_get("/v1/integrations/{id}", self._one)
        application.router.add_post("/v1/integrations/{id}/sync", self._sync)
        return application

    async def _tell_calls(self, _request: web.Request) -> web.Response:
        return web.json_response(self._calls)

    async def _tell_ends(self, _request: web.Request) -> web.Response:
        return web.json_response({f"{key} {id_}": ends_at for (key, id_), ends_at in self._ends_at.items()})

    async def _list(self, request: web.Request) -> web.Response:
        key = await self._note(request, "list")
        return web.json_response({"integrations": [self._shown(key, id_) for id_ in self._types]})

    async def _one(self, request: web.Request) -> web.Response:
        key = await self._note(request, "detail")
        shown = self._shown(key, request.match_info["id"])
        return web.json_response({"integration": {**shown, "sync_stats": {"events_total": 1000}}})

    async def _sync(self, request: web.Request) -> web.Response:
        key = await self._note(request, "sync")
        self._ends_at[key, request.match_info["id"]] = time.time() + self._sync_s
        return web.json_response({"status": "ok", "sync_id": f"sync_{time.monotonic_ns()}"})

    async def _note(self, request: web.Request, what: str) -> str:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self._calls.setdefault(key, Counter())[what] += 1
        await asyncio.sleep(NEVER_S if key.endswith(HANGS) else self._latency_s)
        if key.endswith(DOWN):
            raise web.HTTPServiceUnavailable
        return key

    def _shown(self, key: str, id_: str) -> dict[str, Any]:
        ends_at = self._ends_at.get((key, id_))
        is_endless = self._syncing or key.endswith(SYNCING)
        syncing = is_endless if ends_at is None else time.time() < ends_at
        last = BEFORE if ends_at is None or syncing else datetime.fromtimestamp(ends_at, UTC).isoformat()
        status = "syncing" if syncing else "connected"
        return {
            "id": id_,
            "type": self._types.get(id_, TYPES[0]),
            "status": status,
            "last_synced_at": last,
            "error_message": None,
        }


async def _main(given: argparse.Namespace) -> None:
    flokit = Flokit(
        latency_s=given.latency_s, integrations=given.integrations, sync_s=given.sync_s, syncing=given.syncing
    )
    runner = web.AppRunner(flokit.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", given.port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-s", type=float, default=0.05)
    parser.add_argument("--integrations", type=int, default=20)
    parser.add_argument("--sync-s", type=float, default=600.0)
    parser.add_argument("--syncing", action="store_true")
    asyncio.run(_main(parser.parse_args()))
