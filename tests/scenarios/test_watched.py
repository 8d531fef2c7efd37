"""The bot as its operators see it: metrics, log lines and traces of one click."""

from __future__ import annotations

import gzip
import re
import signal

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sandbox.local_flokit.sources import Plan


def sample(text, name):
    """Return the value of one metric."""
    found = re.search(rf"^flokit_bot_{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


async def test_the_metrics_count_a_click(world):
    """After the outcome, they show the request, the ack, the calls and the outcome."""
    world.flokit.add("int_a", "google_play")
    world.flokit.plan("int_a", Plan(0.2, 0.3, "succeeded"))
    root = await world.resync("int_a")
    await world.outcomes(root)
    await world.settle()
    text = (await world.get("/metrics")).text
    assert sample(text, 'commands_total{command="status"}') == 1
    assert sample(text, 'buttons_total{button="resync"}') == 1
    assert sample(text, 'ack_seconds_count{kind="button"}') == 1
    assert sample(text, 'runs_ended_total{outcome="succeeded"}') == 1
    assert sample(text, 'time_to_outcome_seconds_count{outcome="succeeded",type="google_play"}') == 1
    assert sample(text, 'flokit_calls_total{operation="sync",result="ok"}') == 1
    assert sample(text, 'slack_calls_total{method="chat.postMessage",result="ok"}') >= 2
    assert sample(text, 'outbox_depth{kind="outcome"}') == 0
    assert sample(text, 'ready{part="migrations"}') == 1
    assert sample(text, 'faults_total{part="run"}') == 0
    assert sample(text, "socket_connected") == (1 if world.mode == "socket" else None)


async def test_a_click_can_be_followed_through_the_log(world):
    """Every line about it, from the ack to the outcome in Slack, has its run_id and request_id."""
    world.flokit.add("int_a", "google_play")
    world.flokit.plan("int_a", Plan(0.2, 0.3, "succeeded"))
    panel = await world.status()
    before = len(world.log)
    await world.press(panel, "flokit_resync", "int_a")
    await world.outcomes(panel["ts"])
    await world.settle()
    lines = world.log[before:]
    (requested,) = [line for line in lines if line["event"] == "sync_requested"]
    ids = {"run_id": requested["run_id"], "request_id": requested["request_id"]}
    way = {"sync_triggered", "sync_ended", "flokit.call", "slack.call"}
    found = [line for line in lines if line["event"] in way and not is_about_the_panel(line)]
    assert way == {line["event"] for line in found}
    assert [line for line in found if not ids.items() <= line.items()] == []
    assert {line["method"] for line in found if line["event"] == "slack.call"} >= {"chat.postMessage"}


def is_about_the_panel(line):
    """Return whether a line is about the clicked message, which belongs to the request that created it."""
    return line["event"] == "slack.call" and line.get("kind") == "panel"


class Collector:
    """Receives traces over HTTP, as OpenTelemetry's collector does."""

    def __init__(self):
        self.spans = []
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self):
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _take(self, request):
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        sent = ExportTraceServiceRequest.FromString(body)
        for resource in sent.resource_spans:
            (name,) = [one.value.string_value for one in resource.resource.attributes if one.key == "service.name"]
            self.spans += [(name, span) for scope in resource.scope_spans for span in scope.spans]
        return web.Response(body=b"", content_type="application/x-protobuf")


async def test_a_trace_continues_after_a_restart(make_world):
    """The next process follows the run in the same trace, from the ack to the posted outcome."""
    async with (
        Collector() as collector,
        make_world(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="20") as world,
    ):
        await world.start_bot()
        world.flokit.add("int_a", "google_play")
        world.flokit.plan("int_a", Plan(0.5, 1.5, "succeeded"))
        root = await world.resync("int_a")
        await world.reply(root, "Google Play")
        world.bot.signal(signal.SIGTERM)
        await world.bot.wait()
        (asked,) = [span for _, span in collector.spans if span.name == "slack button"]
        before = len(collector.spans)
        await world.start_bot()
        await world.outcomes(root)
        await world.settle()
        world.bot.signal(signal.SIGTERM)
        await world.bot.wait()
    later = [span for _, span in collector.spans[before:] if span.trace_id == asked.trace_id]
    assert {name for name, _ in collector.spans} == {"flokit-bot"}
    assert {"follow", "flokit show", "decide", "show", "slack chat.postMessage"} <= {span.name for span in later}
