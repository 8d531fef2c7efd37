"""The bot as those who run it see it: metrics, log lines and traces of one click."""

from __future__ import annotations

import re

from bot.sandbox.flokit.sources import Plan


def sample(text, name):
    """Return the value of one line of the metrics."""
    found = re.search(rf"^flokit_bot_{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


async def test_the_metrics_tell_of_a_click(world):
    """After a click and its outcome, the metrics show what was asked, acked, called and told."""
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
