"""Connections: a limited number, the longest idle are closed first, and one warning per episode."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from bot.observability.logs import EPISODE_S, Episodes
from bot.ops.connections import (
    DESCRIPTORS_OF_OURS,
    FEWEST_CONNECTIONS,
    MOST_CONNECTIONS,
    Connections,
    how_many_connections,
)


class Echo(asyncio.Protocol):
    """Sends back what it receives."""

    def connection_made(self, transport):
        """Keep it."""
        self.transport = transport

    def data_received(self, data):
        """Send it back."""
        self.transport.write(data)


@asynccontextmanager
async def accepting(**options):
    """Accept connections on a free port."""
    made = []

    def make():
        made.append(Echo())
        return made[-1]

    connections = Connections(make, **options)
    port = await connections.listen("127.0.0.1", 0)
    opened = []

    async def connect():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        opened.append(writer)
        writer.write(b"x")
        assert await asyncio.wait_for(reader.readexactly(1), 5) == b"x"
        return reader

    try:
        yield connections, connect, made
    finally:
        await connections.stop()
        for writer in opened:
            writer.close()


async def is_closed(reader):
    """Return whether the other side hung up, or will in a moment."""
    try:
        return await asyncio.wait_for(reader.read(), 5) == b""
    except ConnectionError:
        return True


async def test_the_longest_idle_connection_makes_room():
    """When all slots are taken."""
    async with accepting(most=2) as (connections, connect, made):
        first, second = await connect(), await connect()
        connections.note_request(made[0].transport)
        await connect()
        assert await is_closed(second)
        assert not made[0].transport.is_closing()
        assert not first.at_eof()


async def test_a_connection_with_a_signed_request_stays():
    """New ones wait if no other can be closed."""
    async with accepting(most=1) as (connections, connect, made):
        await connect()
        with connections.keeping(made[0].transport):
            waiting = asyncio.create_task(connect())
            for _ in range(100):
                await asyncio.sleep(0)
            assert not made[0].transport.is_closing()
            assert len(made) == 1
        await waiting
        assert made[0].transport.is_closing()


async def test_a_connection_without_a_request_is_closed():
    """A connection that has sent a request may stay idle for longer."""
    async with accepting(head_within_s=0.2) as (connections, connect, made):
        asking, silent = await connect(), await connect()
        connections.note_request(made[0].transport)
        assert await is_closed(silent)
        assert not asking.at_eof()


async def test_closed_connections_free_their_slot():
    """No other is closed, and nothing is logged."""
    async with accepting(most=2) as (_connections, connect, made):
        staying = await connect()
        with capture_logs() as logs:
            for _ in range(10):
                await connect()
                made[-1].transport.close()
        assert not logs
        assert not staying.at_eof()


async def test_running_out_of_descriptors_is_logged_once(monkeypatch):
    """The longest idle connections are closed, and accepting continues."""
    loop = asyncio.get_running_loop()
    accept, failing = loop.sock_accept, [OSError(errno.EMFILE, "Too many open files")] * 3

    async def fail_first(listener):
        if failing:
            raise failing.pop()
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", fail_first)
    with capture_logs() as logs:
        async with accepting() as (_connections, connect, _made):
            await connect()
    assert [(line["event"], line["log_level"]) for line in logs] == [("descriptors_exhausted", "warning")]


async def test_a_taken_address_is_an_error():
    """It isn't shared, and no socket is left behind."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="Address already in use"):
        await Connections(Echo).listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("here", [("127.0.0.1", 0), None], ids=["one is here", "none is here"])
async def test_an_address_that_this_machine_lacks_is_left_out(here, monkeypatch):
    """Of a name's addresses, those of this machine are enough; without any it's an error."""
    infos = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (("192.0.2.1", 0), here) if address]

    async def look_up(*_arguments, **_options):
        return infos

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    connections = Connections(Echo)
    if here:
        assert await connections.listen("some.name", 0)
    else:
        with pytest.raises(OSError, match="Cannot assign requested address"):
            await connections.listen("some.name", 0)
    await connections.stop()


def test_a_warning_is_logged_once_per_episode():
    """It's repeated only after a minute without it; other warnings are separate."""
    now = [0.0]
    episodes = Episodes(clock=lambda: now[0])
    with capture_logs() as logs:
        for at, reason in ((0, "a"), (1, "a"), (2, "b"), (59, "a"), (60 + 58, "a"), (59 + 58 + EPISODE_S + 2, "a")):
            now[0] = at
            episodes.note("refused", reason=reason)
    assert [line["reason"] for line in logs] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("soft", "most"),
    [
        (resource.RLIM_INFINITY, MOST_CONNECTIONS),
        (65536, MOST_CONNECTIONS),
        (256, 256 - DESCRIPTORS_OF_OURS),
        (64, FEWEST_CONNECTIONS),
    ],
)
def test_some_file_descriptors_are_reserved(soft, most, monkeypatch):
    """For the database, Slack and FloKit."""
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (soft, soft))
    assert how_many_connections() == most


def test_the_soft_limit_is_raised():
    """To the hard one."""
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512));"
        "from bot.ops.connections import raise_descriptor_limit as raise_; print(raise_(), raise_());"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["512"] * 4
