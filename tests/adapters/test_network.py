"""Proxies and certificates as companies use them: a real CONNECT proxy with a log, and a real CA."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from slack_bolt.app.async_app import AsyncApp

from bot.core import errors
from bot.flokit import Endpoint, FlokitClient
from bot.observability.traces import make_tracer
from bot.settings import network
from bot.settings.network import Network
from bot.slack.client import SlackClient
from bot.slack.socket import SlackSocket
from local_slack.guard import NAMES
from sandbox.local_flokit import READ_KEY, WRITE_KEY, LocalFlokit
from tests import wire

FLOKIT, SLACK = "flokit.test", "slack.test"
"""Hosts that only the proxy can resolve: a request that reaches them went through it."""

CREDENTIALS = "ana:p@ss#/hidden"
WRITTEN = "ana:p%40ss%23%2Fhidden"

pytestmark = pytest.mark.skipif(
    not wire.OPENSSL and os.environ.get("CI") != "true", reason="needs openssl to make certificates"
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A CA that no system trusts."""
    return wire.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def right(authority):
    """A certificate of that CA for the hosts."""
    return authority.context(FLOKIT, SLACK, "localhost", "127.0.0.1")


@asynccontextmanager
async def company(local_slack, context, **options):
    """A FloKit and a Slack behind TLS and a proxy."""
    flokit = LocalFlokit()
    flokit.demo()
    await flokit.start()
    local_slack.server[NAMES].add(SLACK)
    slack_port, flokit_port = (int(url.rstrip("/").rpartition(":")[2]) for url in (local_slack.url, flokit.url))
    try:
        async with (
            wire.tls_before(slack_port, context) as slack_tls,
            wire.tls_before(flokit_port, context) as flokit_tls,
        ):
            proxy = wire.ConnectProxy({f"{SLACK}:443": slack_tls, f"{FLOKIT}:443": flokit_tls}, **options)
            async with wire.listening(proxy.handle) as proxy_port:
                yield proxy, proxy_port
    finally:
        await flokit.stop()


def environment(authority, port, credentials=""):
    """Return the variables that set the proxy and trust the CA."""
    return {"HTTPS_PROXY": f"http://{credentials}127.0.0.1:{port}", "SSL_CERT_FILE": authority.file}


async def look(url, **variables):
    """Read from FloKit once, and return the result or the error."""
    client = FlokitClient(Endpoint(url, READ_KEY, WRITE_KEY, network=Network(variables)))
    try:
        return len((await client.fetch_integrations(patience_s=0)).integrations)
    except errors.FlokitError as error:
        return error
    finally:
        await client.aclose()


async def identify(url, **variables):
    """Ask Slack once who we are, and return the team or the error."""
    client = SlackClient("xoxb-sandbox", api_url=url, network=Network(variables))
    try:
        return (await client.fetch_identity()).team_id
    except errors.SlackError as error:
        return error
    finally:
        await client.aclose()


async def test_every_client_goes_through_the_proxy(authority, right, local_slack):
    """It uses CONNECT with the decoded credentials, and trusts the CA."""
    async with company(local_slack, right, credentials=CREDENTIALS) as (proxy, port):
        variables = environment(authority, port, f"{WRITTEN}@")
        seen = await look(f"https://{FLOKIT}", **variables)
        team = await identify(f"https://{SLACK}/api/", **variables)
    assert isinstance(seen, int)
    assert isinstance(team, str)
    assert proxy.log == [f"CONNECT {FLOKIT}:443", f"CONNECT {SLACK}:443"]


async def test_the_socket_goes_through_the_proxy(authority, right, local_slack):
    """Socket Mode opens its wss connection by CONNECT, and Slack says hello over it."""
    async with company(local_slack, right) as (proxy, port):
        through = Network(environment(authority, port))
        client = SlackClient("xoxb-sandbox", api_url=f"https://{SLACK}/api/", network=through)

        async def fetch_url():
            url = await client.fetch_socket_url("xapp-sandbox")
            return (
                f"wss://{SLACK}{url.partition('://')[2].partition('/')[1]}{url.partition('://')[2].partition('/')[2]}"
            )

        socket = SlackSocket(AsyncApp(client=client.web), fetch_url, network=through)
        task = asyncio.create_task(socket.keep_open())
        await local_slack.wait_connected(timeout_s=10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.aclose()
    assert proxy.log == [f"CONNECT {SLACK}:443"] * 2


async def test_no_proxy_bypasses_the_proxy(authority, right, local_slack):
    async with company(local_slack, right) as (proxy, port):
        error = await look(f"https://{FLOKIT}", **environment(authority, port), NO_PROXY=".test")
    assert isinstance(error, errors.FlokitNotSent)
    assert proxy.log == []


@pytest.mark.parametrize(
    ("options", "words"), [({"credentials": CREDENTIALS}, "answered HTTP 407"), ({"status": 403}, "answered HTTP 403")]
)
async def test_a_proxy_that_refuses_is_named(authority, right, local_slack, options, words):
    """The error has its answer, without credentials."""
    async with company(local_slack, right, **options) as (_, port):
        variables = environment(authority, port, "ana:wrong-hidden@")
        failures = [await look(f"https://{FLOKIT}", **variables), await identify(f"https://{SLACK}/api/", **variables)]
    assert all(words in str(failure) and "hidden" not in repr(failure) for failure in failures)


async def test_an_unreachable_proxy_is_named(authority):
    variables = environment(authority, 1)
    failures = [await look(f"https://{FLOKIT}", **variables), await identify(f"https://{SLACK}/api/", **variables)]
    assert all("no connection to the proxy" in str(failure) for failure in failures)


UNTRUSTED = "is from an authority (CA) that isn't trusted here"


@pytest.mark.parametrize(
    ("names", "certificate", "is_trusting", "words"),
    [
        ((FLOKIT, SLACK), {}, False, UNTRUSTED),
        ((FLOKIT, SLACK), {"days": -1}, True, "its certificate has expired"),
        (("other.test",), {}, True, "its certificate is for another host name"),
        ((FLOKIT, SLACK), {"is_signed": False}, True, "its certificate is self-signed"),
    ],
    ids=["unknown CA", "expired", "another host", "self-signed"],
)
async def test_a_tls_failure_says_that_it_is_one(authority, local_slack, names, certificate, is_trusting, words):
    """The error says what's wrong with the certificate, also behind a proxy."""
    async with company(local_slack, authority.context(*names, **certificate)) as (_, port):
        variables = environment(authority, port)
        if not is_trusting:
            del variables["SSL_CERT_FILE"]
        failures = [await look(f"https://{FLOKIT}", **variables), await identify(f"https://{SLACK}/api/", **variables)]
    assert isinstance(failures[0], errors.FlokitNotSent)
    assert all("couldn't be reached: TLS failed: its certificate" in str(failure) for failure in failures)
    assert all(words in str(failure) for failure in failures)


async def test_plain_http_where_tls_is_expected_is_named(local_slack):
    url, api_url = (url.replace("http", "https") for url in (local_slack.url, local_slack.api_url))
    failures = [await look(url), await identify(api_url)]
    assert all("doesn't speak TLS" in str(failure) for failure in failures)


async def test_the_systems_store_is_trusted(authority, right, local_slack, monkeypatch, tmp_path):
    """All clients trust a CA that only the system's store has, as a file or a folder."""
    authority.put_into(tmp_path)
    defaults = ssl.get_default_verify_paths()
    async with company(local_slack, right) as (_, port):
        for paths in ({"openssl_cafile": authority.file}, {"openssl_capath": str(tmp_path)}):
            monkeypatch.setattr(ssl, "get_default_verify_paths", lambda paths=paths: defaults._replace(**paths))
            network._shared_tls.cache_clear()
            variables = {"HTTPS_PROXY": f"127.0.0.1:{port}"}
            assert isinstance(await look(f"https://{FLOKIT}", **variables), int)
            assert isinstance(await identify(f"https://{SLACK}/api/", **variables), str)
    network._shared_tls.cache_clear()


async def test_a_proxy_may_be_reached_by_tls(authority, right, local_slack):
    """An https:// proxy works for every client, and its certificate is verified."""
    async with company(local_slack, right) as (proxy, port), wire.tls_before(port, right) as tls_port:
        variables = {"HTTPS_PROXY": f"https://127.0.0.1:{tls_port}", "SSL_CERT_FILE": authority.file}
        assert isinstance(await look(f"https://{FLOKIT}", **variables), int)
        assert isinstance(await identify(f"https://{SLACK}/api/", **variables), str)
        untrusting = {"HTTPS_PROXY": f"https://127.0.0.1:{tls_port}"}
        failure = await look(f"https://{FLOKIT}", **untrusting)
    assert UNTRUSTED in str(failure)
    assert len(proxy.log) == 2


async def test_traces_go_through_the_proxy(authority, monkeypatch):
    """They reach a collector that only the proxy can reach, whatever other variables say."""
    got = asyncio.Queue()

    async def collect(reader, writer):
        got.put_nowait((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.test")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    certificate = authority.context("collector.test")
    async with wire.listening(collect) as port, wire.tls_before(port, certificate) as tls_port:
        proxy = wire.ConnectProxy({"collector.test:443": tls_port}, credentials=CREDENTIALS)
        async with wire.listening(proxy.handle) as proxy_port:
            tracer = make_tracer(Network(environment(authority, proxy_port, f"{WRITTEN}@")))
            with tracer.span("a click", parent=f"00-{1:032x}-{1:016x}-01"):
                pass
            await asyncio.to_thread(tracer.close)
            assert await asyncio.wait_for(got.get(), 10) == b"POST /v1/traces HTTP/1.1"
    assert proxy.log == ["CONNECT collector.test:443"]


async def test_check_uses_and_names_the_proxy(authority, right, local_slack, tmp_path):
    """For each host, without its password."""
    async with company(local_slack, right, credentials=CREDENTIALS) as (proxy, port):
        settings = {
            "PATH": os.defpath,
            "SLACK_BOT_TOKEN": local_slack.installation.tokens.bot,
            "SLACK_APP_TOKEN": local_slack.installation.tokens.app,
            "SLACK_API_URL": f"https://{SLACK}/api/",
            "FLOKIT_API_KEY": READ_KEY,
            "FLOKIT_API_URL": f"https://{FLOKIT}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            **environment(authority, port, f"{WRITTEN}@"),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            "check",
            cwd=tmp_path,
            env=settings,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out = (await process.communicate())[0].decode()
    assert process.returncode == 0, out
    assert f"✓ network: {SLACK} through http://127.0.0.1:{port} (HTTPS_PROXY)" in out
    assert f"✓ network: {FLOKIT} through http://127.0.0.1:{port} (HTTPS_PROXY)" in out
    assert "hidden" not in out
    assert {f"CONNECT {FLOKIT}:443", f"CONNECT {SLACK}:443"} == set(proxy.log)
