"""Which proxy a connection uses, by curl's rules, without DNS lookups.

https://everything.curl.dev/usingcurl/proxies/env.html. Beyond curl, ``NO_PROXY`` may name a port, and
``*.example.com``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from bot.core.hosts import is_loopback

VARIABLES: Final = {
    # As in curl, uppercase HTTP_PROXY is ignored, because clients of a CGI server can set it.
    "http": ("http_proxy", "all_proxy", "ALL_PROXY"),
    "https": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
}
"""The variables with the proxy for a scheme; the first non-empty one wins."""

EXEMPTIONS: Final = ("no_proxy", "NO_PROXY")

NAMES: Final = frozenset({name.lower() for names in (*VARIABLES.values(), EXEMPTIONS) for name in names})
"""All of them, in lowercase."""

_SCHEME_OF: Final = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_PORT_OF: Final = {"http": 80, "https": 443}
_PROXY_PORT_OF: Final = {"http": 1080, "https": 443}
"""The default port of a proxy, as in curl."""

_HOST_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


class UnusableProxyError(ValueError):
    """A variable names a proxy that the bot can't use; the message doesn't contain the value."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the variable that sets it."""

    variable: str
    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """Its address without credentials, fit to be shown."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def url(self) -> str:
        """Its address with credentials; don't show it."""
        if not self.user and not self.password:
            return self.address
        credentials = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return self.address.replace("://", f"://{credentials}@", 1)

    def __str__(self) -> str:
        return f"{self.address} ({self.variable})"


@dataclass(frozen=True, slots=True)
class _Exemption:
    """One entry of ``NO_PROXY``: a network or a name, and an optional port."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    name: str = ""
    port: int | None = None

    def covers(self, host: str, port: int) -> bool:
        """Whether a host is excluded from proxying by this entry."""
        if self.port not in (None, port):
            return False
        if self.name:
            return self.name in ("*", host) or host.endswith(f".{self.name}")
        address = _address(host)
        return address is not None and self.network is not None and address in self.network


class Proxies:
    """The proxy settings of an environment.

    Args:
        environment: variables by name; only those about proxies are read.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._values = {name: value for name, value in environment.items() if name.lower() in NAMES and value.strip()}
        self._exempting = next((name for name in EXEMPTIONS if name in self._values), "")
        entries = re.split(r"[,\s]+", self._values.get(self._exempting, ""))
        self._exemptions = [exemption for entry in entries if (exemption := _parse_exemption(entry))]

    def __bool__(self) -> bool:
        """Whether any proxy is set."""
        return any(name in self._values for names in VARIABLES.values() for name in names)

    @property
    def secrets(self) -> list[str]:
        """The passwords in them, both encoded and decoded, to redact."""
        found = set()
        for name in (name for names in VARIABLES.values() for name in names):
            written = self._values.get(name, "").rpartition("@")[0].rpartition("//")[2].partition(":")[2]
            found |= {written, unquote(written)}
        return sorted(found - {""})

    def proxy_for(self, url: str) -> Proxy | None:
        """Return the proxy for an address; None for a direct connection.

        Raises:
            UnusableProxyError: there is one, but the bot can't use it.
        """
        parts = urlsplit(url)
        scheme, host = _SCHEME_OF.get(parts.scheme, ""), _plain(parts.hostname or "")
        name = next((name for name in VARIABLES.get(scheme, ()) if name in self._values), "")
        if not name or is_here(host) or self._is_exempt(host, parts.port or _PORT_OF[scheme]):
            return None
        return _parse_proxy(name, self._values[name])

    def way_to(self, url: str) -> str:
        """Describe how an address is connected to."""
        try:
            proxy = self.proxy_for(url)
        except UnusableProxyError as error:
            return str(error)
        if proxy:
            return f"through {proxy}"
        parts = urlsplit(url)
        scheme, host = _SCHEME_OF.get(parts.scheme, ""), _plain(parts.hostname or "")
        exempt = scheme and self._is_exempt(host, parts.port or _PORT_OF[scheme])
        return f"directly ({self._exempting})" if exempt else "directly"

    def _is_exempt(self, host: str, port: int) -> bool:
        return any(exemption.covers(host, port) for exemption in self._exemptions)


def is_here(host: str) -> bool:
    """Whether a host is this machine, by any of its names."""
    host = _plain(host)
    address = _address(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    return is_loopback(host) or host.endswith(".localhost")


def _plain(host: str) -> str:
    """Normalize a host: lowercase, no brackets, no trailing dot, Punycode."""
    host = host.strip().lower().removeprefix("[").removesuffix("]").rstrip(".")
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _parse_exemption(entry: str) -> _Exemption | None:
    """Parse an entry of ``NO_PROXY``; None if curl would ignore it too."""
    if not entry:
        return None
    if entry == "*":
        return _Exemption(name="*")
    port: int | None = None
    if found := re.fullmatch(r"(\[[^\]]*\]|[^:]*):(\d{1,5})", entry):
        entry, port = found[1], int(found[2])
    try:
        network = ipaddress.ip_network(re.sub(r"[\[\]]", "", entry), strict=False)
    except ValueError:
        name = _plain(entry.removeprefix("*")).lstrip(".")
        return _Exemption(name=name, port=port) if name else None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:  # ::ffff:0:0/96, RFC 4291
        network = ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}", strict=False)
    return _Exemption(network=network, port=port)


def _parse_proxy(variable: str, value: str) -> Proxy:
    value = value.strip()
    if value[0] in "\"'" or value[-1] in "\"'":
        raise UnusableProxyError(f"{variable}: is in quotation marks; write the value without them.")
    scheme, separator, rest = value.partition("://")
    scheme = scheme.lower() if separator else "http"
    if scheme.startswith("socks"):
        raise UnusableProxyError(f"{variable}: is a SOCKS proxy, which the bot can't use; name an HTTP proxy.")
    if scheme not in _PROXY_PORT_OF:
        raise UnusableProxyError(f"{variable}: must be the address of an HTTP proxy, such as http://proxy:3128.")
    try:
        parts = urlsplit(f"{scheme}://{rest if separator else value}")
        host, port = _plain(parts.hostname or ""), parts.port or _PROXY_PORT_OF[scheme]
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        f"{user}{password}".encode("latin-1")  # Basic authentication: RFC 7617
    except ValueError:
        host = ""
    is_whole = value.isprintable() and not re.search(r"\s", value)
    if not is_whole or not (_address(host) or (_HOST_NAME.fullmatch(host) and len(host) <= 253)):
        raise UnusableProxyError(
            f"{variable}: must be the address of an HTTP proxy, such as http://proxy:3128 or http://user:password@"
            "proxy:3128; write special characters in the password as %23 for # and so on."
        )
    return Proxy(variable, scheme, host, port, user, password)
