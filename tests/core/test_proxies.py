"""Which proxy a connection goes through, by curl's rules."""

from __future__ import annotations

import pytest

from bot.core.proxies import Proxies, UnusableProxyError, is_here

SLACK = "https://slack.com/api/"
PROXY = "http://proxy:3128"


def way(url, **environment):
    """Return the address of the proxy for a URL; "" for a direct connection."""
    proxy = Proxies(environment).proxy_for(url)
    return proxy.url if proxy else ""


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({}, SLACK, ""),
        ({"HTTPS_PROXY": PROXY}, SLACK, PROXY),
        ({"https_proxy": "http://small:1", "HTTPS_PROXY": "http://capital:1"}, SLACK, "http://small:1"),
        ({"https_proxy": "", "HTTPS_PROXY": PROXY}, SLACK, PROXY),
        ({"https_proxy": "  "}, SLACK, ""),
        ({"ALL_PROXY": PROXY}, SLACK, PROXY),
        ({"ALL_PROXY": PROXY}, "http://api.example.com", PROXY),
        ({"all_proxy": "http://small:1", "ALL_PROXY": "http://capital:1"}, SLACK, "http://small:1"),
        ({"ALL_PROXY": "socks5://x:1", "HTTPS_PROXY": PROXY}, SLACK, PROXY),
        ({"http_proxy": PROXY}, "http://api.example.com", PROXY),
        ({"HTTP_PROXY": PROXY}, "http://api.example.com", ""),
        ({"HTTP_PROXY": PROXY, "http_proxy": PROXY}, SLACK, ""),
        ({"HTTPS_PROXY": PROXY}, "wss://wss-primary.slack.com/link", PROXY),
        ({"http_proxy": PROXY}, "ws://slack-mock/link", PROXY),
        ({"HTTPS_PROXY": PROXY}, "ws://slack-mock/link", ""),
    ],
)
def test_which_variable_counts(environment, url, expected):
    """Lowercase first, the scheme's own variable before ALL_PROXY, and uppercase HTTP_PROXY never."""
    assert way(url, **environment) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("proxy:3128", "http://proxy:3128"),
        ("proxy", "http://proxy:1080"),
        ("http://proxy", "http://proxy:1080"),
        ("https://proxy", "https://proxy:443"),
        ("HTTP://Proxy.Example.COM.:3128/", "http://proxy.example.com:3128"),
        ("http://ana:s3cret@proxy:3128", "http://ana:s3cret@proxy:3128"),
        ("ana:s3cret@proxy:3128", "http://ana:s3cret@proxy:3128"),
        ("http://ana:p%40ss%23%2F@proxy:3128", "http://ana:p%40ss%23%2F@proxy:3128"),
        ("http://a@b:c@proxy:3128", "http://a%40b:c@proxy:3128"),
        ("http://ana@proxy:3128", "http://ana:@proxy:3128"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("http://10.0.0.1:3128", "http://10.0.0.1:3128"),
        (" http://proxy:3128 ", "http://proxy:3128"),
        ("http://bücher.example:3128", "http://xn--bcher-kva.example:3128"),
    ],
)
def test_how_a_proxy_may_be_written(value, expected):
    """With or without a scheme, a port and credentials."""
    assert way(SLACK, HTTPS_PROXY=value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "socks5://proxy:1080",
        "socks5h://proxy:1080",
        "SOCKS4://proxy",
        "ftp://proxy:21",
        "://",
        "http://",
        "http://:3128",
        "http://proxy:port",
        "http://proxy:70000",
        "http://proxy:3128:3128",
        "http://hidden:hid#den@proxy:3128",
        "http://hidden:hid/den@proxy:3128",
        "http://hidden:日本@proxy:3128",
        "http://pro xy:3128",
        "http://proxy:3128\nX-Header: hidden",
        '"http://hidden@proxy:3128"',
        "'proxy:3128'",
        "http://[::1:3128",
        "http://-proxy:3128",
        "http://" + "x" * 300,
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(value):
    """The sentence names the variable, never the value."""
    with pytest.raises(UnusableProxyError, match=r"^ALL_PROXY: .*[.]$") as refused:
        way(SLACK, ALL_PROXY=value)
    assert "hid" not in str(refused.value)


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("slack.com", SLACK, True),
        ("slack.com", "https://hooks.slack.com/x", True),
        ("slack.com", "https://evilslack.com", False),
        ("lack.com", SLACK, False),
        (".slack.com", "https://hooks.slack.com/x", True),
        (".slack.com", SLACK, True),
        ("*.slack.com", "https://hooks.slack.com/x", True),
        ("SLACK.COM.", SLACK, True),
        ("slack.com", "https://SLACK.com./api", True),
        ("localhost, ,127.0.0.1,,slack.com", SLACK, True),
        ("localhost slack.com", SLACK, True),
        ("*", SLACK, True),
        ("localhost,*", SLACK, True),
        ("", SLACK, False),
        ("com", SLACK, True),
        ("slack.com:443", SLACK, True),
        ("slack.com:8443", SLACK, False),
        ("slack.com:8443", "https://slack.com:8443/", True),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.1.2.3/8", "https://10.9.9.9", True),
        ("10.1.2.3", "https://10.1.2.3:8443", True),
        ("10.1.2.3:8443", "https://10.1.2.3:8443", True),
        ("10.1.2.3:8443", "https://10.1.2.3", False),
        ("10.0.0.0/8", "https://10.example.com", False),
        ("fd00::/8", "https://[fd00::12]:8443", True),
        ("[fd00::12]", "https://[fd00::12]", True),
        ("fd00::12", "https://[FD00:0::12]", True),
        ("[fd00::12]:8443", "https://[fd00::12]:8443", True),
        ("[fd00::12]:8443", "https://[fd00::12]", False),
        ("::ffff:10.0.0.0/104", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://[::ffff:10.1.2.3]", True),
        ("[::1],fe80::/10,slack.com", SLACK, True),
        ("10.0.0.0/99,[,]:,http://x/,::::,slack.com", SLACK, True),
        ("bücher.example", "https://xn--bcher-kva.example", True),
        ("xn--bcher-kva.example", "https://bücher.example", True),
    ],
)
def test_what_no_proxy_lists(no_proxy, url, is_direct):
    """Names with their subdomains, addresses, ranges, ports and ``*``; anything else is skipped."""
    assert (way(url, HTTPS_PROXY=PROXY, NO_PROXY=no_proxy) == "") is is_direct


def test_lowercase_no_proxy_wins():
    assert way(SLACK, HTTPS_PROXY=PROXY, no_proxy="flokit.ai", NO_PROXY="slack.com") == PROXY


HERE = ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "LOCALHOST.", "bot.localhost", "[::ffff:127.0.0.1]", "0.0.0.0"]


@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("value", [PROXY, "socks5://x", "junk://"])
def test_this_machine_is_never_reached_through_a_proxy(host, value):
    """Whatever it's called, and whatever the variables say."""
    everything = {"http_proxy": value, "https_proxy": value, "all_proxy": value}
    assert is_here(host)
    assert way(f"http://{host}:8080/api", **everything) == ""
    assert way(f"wss://{host}:8080/api", **everything) == ""


@pytest.mark.parametrize("host", ["localhost.example.com", "notlocalhost", "10.0.0.1", "[::2]", "128.0.0.1"])
def test_a_name_that_contains_localhost_is_another_machine(host):
    assert way(f"https://{host}/", HTTPS_PROXY=PROXY) == PROXY


def test_credentials_are_not_shown():
    """Only the address and the variable of a proxy are."""
    proxy = Proxies({"HTTPS_PROXY": "http://ana:hidden@proxy:3128"}).proxy_for(SLACK)
    assert str(proxy) == "http://proxy:3128 (HTTPS_PROXY)"
    assert "hidden" not in f"{proxy!r}"


@pytest.mark.parametrize(
    ("environment", "url", "words"),
    [
        ({"HTTPS_PROXY": PROXY}, SLACK, "through http://proxy:3128 (HTTPS_PROXY)"),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "slack.com"}, SLACK, "directly (NO_PROXY)"),
        ({"HTTPS_PROXY": PROXY}, "http://example.com", "directly"),
        ({"HTTPS_PROXY": PROXY}, "https://localhost", "directly"),
    ],
)
def test_the_doctor_says_which_proxy_is_used_and_why(environment, url, words):
    assert Proxies(environment).way_to(url) == words
