"""Traces: one for everything that follows from a click, none for other work, and none at all unless configured."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from bot.core.models import Cause, Person, SyncRun
from bot.core.requests import Request
from bot.flokit import Endpoint, FlokitClient
from bot.listeners.reception import Reception
from bot.observability.context import Context
from bot.observability.telemetry import Telemetry, following
from bot.observability.traces import OtelTracer
from bot.ops.metrics import Metrics
from bot.settings.settings import wants_traces
from bot.slack.client import SlackClient
from bot.store import codec
from bot.workers.follower import Follower, claim_batches
from bot.workers.sender import Sender
from sandbox.local_flokit import READ_KEY, WRITE_KEY, LocalFlokit
from sandbox.local_flokit.sources import Plan
from tests.adapters.conftest import unnamed

ASKED = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.fixture
def spans():
    """Collect finished spans."""
    return InMemorySpanExporter()


@pytest.fixture
def telemetry(spans):
    """Trace into the collection."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return Metrics(OtelTracer(provider))


class Click:
    """Stands in for Actions: each request starts a sync."""

    def __init__(self, start):
        self._start = start

    async def receive(self, request):
        """Start a sync."""
        await self._start(request)
        return ""


async def test_a_click_is_one_trace(spans, telemetry, sqlite_store, local_slack, make, click, clock):
    """The click, FloKit's calls, the decisions and Slack's posts share a trace, through the database."""
    flokit = LocalFlokit()
    await flokit.start()
    flokit.add("int_1", "stripe")
    flokit.plan("int_1", Plan(60, 60, "succeeded"))
    client = FlokitClient(Endpoint(flokit.url, READ_KEY, WRITE_KEY), telemetry=telemetry)
    slack = SlackClient("xoxb-sandbox", api_url=local_slack.api_url, telemetry=telemetry)
    root = local_slack.workspace.post("C0DATA", {"user": "UFLOKIT", "text": "status"})["ts"]
    actions = Click(lambda request: click(sqlite_store, make, request))
    context = Context("T", "U", clock, telemetry=telemetry)
    reception = Reception(actions.receive, slack, context, preview=actions.receive, save_form=actions.receive)
    with telemetry.tracer.span("slack button", parent=""):
        await reception.take(make.press(message_ts=root))

    follower = Follower(sqlite_store, client, context)
    ((claim,),) = await claim_batches(follower._store, clock(), 5)
    await follower.follow([claim])
    sender = Sender(sqlite_store, slack, context, unnamed(clock), on_closed=None, on_refused=None)
    for item in await sqlite_store.outbox.claim(clock(), 5):
        await sender.send(item)
    await client.aclose()
    await slack.aclose()
    await flokit.stop()

    finished = spans.get_finished_spans()
    assert len({span.context.trace_id for span in finished}) == 1
    assert {span.name for span in finished} == {
        "slack button",
        "take",
        "follow",
        "flokit show",
        "flokit sync",
        "decide",
        "show",
        "slack chat.postMessage",
    }
    (sync,) = [span for span in finished if span.name == "flokit sync"]
    (follow,) = [span for span in finished if span.name == "follow"]
    assert (sync.kind, sync.parent.span_id) == (SpanKind.CLIENT, follow.context.span_id)
    assert follow.attributes["run_id"] == claim.run.id
    decided = [span.attributes["phase"] for span in finished if span.name == "decide"]
    assert decided == ["trigger", "watching"]


def test_work_without_a_click_is_not_traced(spans, telemetry):
    """A call outside of any trace creates no span."""
    with telemetry.tracer.span("flokit list", outward=True):
        assert telemetry.tracer.traceparent() == ""
    assert spans.get_finished_spans() == ()


@pytest.mark.parametrize("traceparent", ["", "rubbish", "00-zz-zz-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_an_unreadable_cause_begins_a_trace(spans, telemetry, traceparent):
    """Rows of an older version, and invalid ones, get a trace of their own."""
    with following(telemetry, "follow", Cause("trg_1", traceparent)):
        pass
    (span,) = spans.get_finished_spans()
    assert span.parent is None


def test_a_click_that_is_not_sampled_stays_untraced(spans, telemetry):
    """The decision to sample is made once, and applies to everything that follows."""
    with following(telemetry, "follow", Cause("trg_1", f"00-{1:032x}-{2:016x}-00")):
        assert telemetry.tracer.traceparent().endswith("-00")
    assert spans.get_finished_spans() == ()


def test_an_error_is_named_but_not_quoted(spans, telemetry):
    """A span has the class of an error, never its text."""
    with pytest.raises(ValueError, match="secret"), telemetry.tracer.span("take", parent=""):
        raise ValueError("secret words")
    (span,) = spans.get_finished_spans()
    assert span.attributes["error.type"] == "ValueError"
    assert "secret" not in span.to_json()


def test_without_a_tracer_no_cause_is_saved():
    """Without OpenTelemetry, rows have no trace."""
    telemetry = Telemetry()
    with telemetry.tracer.span("take", parent=""):
        assert telemetry.tracer.traceparent() == ""


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        (ASKED, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        (ASKED | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ASKED | {"OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    ],
)
def test_traces_are_made_if_a_variable_says_where_they_go(monkeypatch, environment, wanted):
    """The standard variables enable and disable them."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_traces() is wanted


def imported(environment, code=""):
    """Create the tracer in a new process, and return that process's output."""
    script = f"""
import sys
{code}
from bot import app
print(type(app._make_tracer()).__name__, any(name.startswith("opentelemetry") for name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_nothing_is_imported_unless_configured():
    """Without a variable, OpenTelemetry isn't even imported."""
    assert imported({}).split() == ["Tracer", "False"]
    assert imported(ASKED).split() == ["OtelTracer", "True"]


def test_without_the_extra_the_bot_runs_and_logs_a_warning():
    """A variable without the extra is a warning."""
    said = imported(ASKED, "sys.modules['opentelemetry.sdk.trace'] = None")
    assert "traces_not_made" in said
    assert said.splitlines()[-1].startswith("Tracer ")


def test_a_row_of_an_older_version_has_no_cause(make, clock):
    """Rows stored before causes existed can be read, and their work is done all the same."""
    stored = json.loads(codec.dump(make.command()))
    del stored["traceparent"]
    run = SyncRun("run_1", "T", "int_1", "stripe", clock(), Person("U1"), cause=Cause("trg_1", "00-a-b-01"))
    older = json.loads(codec.dump(run))
    del older["cause"]
    del older["fault_id"]
    assert codec.load(Request, json.dumps(stored)).traceparent == ""
    assert codec.load(SyncRun, json.dumps(older)).cause == Cause()
