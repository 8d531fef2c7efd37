"""Proxies and trusted certificates, shared by all clients. No client reads the environment itself."""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import certifi

from bot.core.proxies import NAMES, Proxies, UnusableProxyError

CERT_FILE: Final = "SSL_CERT_FILE"
CERT_DIR: Final = "SSL_CERT_DIR"

VARIABLES: Final = NAMES | {CERT_FILE.lower(), CERT_DIR.lower()}
"""The network variables, in lowercase."""

SYSTEM_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian
    "/etc/pki/tls/certs/ca-bundle.crt",  # Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)
"""Where systems keep their trusted certificates; a Python built elsewhere may look in other places."""

_WORDS: Final = {
    9: "its certificate isn't valid yet; is this machine's clock right?",
    10: "its certificate has expired",
    18: "its certificate is self-signed; to trust it, name it in SSL_CERT_FILE",
    62: "its certificate is for another host name",
    64: "its certificate is for another address",
}
"""X509_V_ERR_… of OpenSSL: https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/"""

_UNKNOWN_AUTHORITY: Final = frozenset({2, 19, 20, 21, 27})
_UNTRUSTED: Final = (
    "its certificate is from an authority (CA) that isn't trusted here; if that's your company's, add it to the "
    "system's store or name it in SSL_CERT_FILE"
)
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})


class Network:
    """The proxies and trusted certificates that an environment asks for.

    Args:
        environment: names and values; only the variables about proxies and certificates are read.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.proxies = Proxies(environment)
        self._cert_file = environment.get(CERT_FILE, "").strip()
        self._cert_dir = environment.get(CERT_DIR, "").strip()

    @property
    def tls(self) -> ssl.SSLContext:
        """The context that all clients share."""
        return _shared_tls(self._cert_file, self._cert_dir)

    def make_tls(self) -> ssl.SSLContext:
        """Make a new context, for a client that adds certificates to it."""
        return _make_tls(self._cert_file, self._cert_dir)

    def problems(self, urls: Iterable[str]) -> list[str]:
        """Return sentences about what keeps the bot from connecting to these addresses."""
        found: dict[str, None] = {}
        is_encrypted = False
        for url in urls:
            is_encrypted = is_encrypted or url.startswith(("https:", "wss:"))
            try:
                is_encrypted = getattr(self.proxies.proxy_for(url), "scheme", "") == "https" or is_encrypted
            except UnusableProxyError as error:
                found[str(error)] = None
        return [*found, *(self._problems_of_trust() if is_encrypted else ())]

    def _problems_of_trust(self) -> list[str]:
        found = []
        if self._cert_file and Path(self._cert_file).is_fifo():  # opening it would block
            found.append(f"{CERT_FILE}: is a pipe; name a file of certificates in PEM format.")
        elif self._cert_file:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=self._cert_file)
            except ssl.SSLError:
                found.append(f"{CERT_FILE}: has no certificates in PEM format; name a file that has some.")
            except (OSError, ValueError):
                found.append(f"{CERT_FILE}: can't be read; name a file of certificates in PEM format, or unset it.")
        if self._cert_dir and not any(Path(folder).is_dir() for folder in _folders(self._cert_dir)):
            found.append(f"{CERT_DIR}: isn't a folder; name one with certificates, or unset it.")
        return found


DIRECT: Final = Network({})
"""No proxy, and the certificates that the system and certifi trust."""


def _folders(cert_dir: str) -> list[str]:
    return [folder for folder in cert_dir.split(os.pathsep) if folder]


@cache
def _shared_tls(cert_file: str, cert_dir: str) -> ssl.SSLContext:
    """Cached, because a context takes 20 ms and a megabyte."""
    return _make_tls(cert_file, cert_dir)


def _make_tls(cert_file: str, cert_dir: str) -> ssl.SSLContext:
    """Trust certifi's certificates, the system's, and the configured ones."""
    context = ssl.create_default_context(cafile=certifi.where())
    if sys.platform == "win32":
        context.load_default_certs()
    defaults = ssl.get_default_verify_paths()  # only its built-in paths are used, not those from the environment
    for file in (defaults.openssl_cafile, *SYSTEM_BUNDLES):
        if Path(file).is_file():
            try:
                context.load_verify_locations(cafile=file)
            except OSError:  # an optional file
                continue
            break
    folders = [defaults.openssl_capath, *_folders(cert_dir)]
    for folder in filter(os.path.isdir, folders):
        context.load_verify_locations(capath=folder)
    if cert_file:
        with contextlib.suppress(OSError):  # ``problems`` has refused a wrong one, unless no connection needs it
            context.load_verify_locations(cafile=cert_file)
    return context


def tls_failure(error: BaseException | None) -> str:
    """Return a sentence about the TLS failure behind an error; "" if there is none."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if type(error).__module__ == ssl.__name__:  # aiohttp's subclasses have no details
            if isinstance(error, ssl.SSLCertVerificationError):
                return f"TLS failed: {_about_certificate(error)}"
            if isinstance(error, ssl.SSLError):
                return f"TLS failed: {_about_handshake(error)}"
        error = error.__cause__ or error.__context__
    return ""


def _about_certificate(error: ssl.SSLCertVerificationError) -> str:
    code = getattr(error, "verify_code", 0)
    if code in _UNKNOWN_AUTHORITY:
        return _UNTRUSTED
    if code in _WORDS:
        return _WORDS[code]
    message = getattr(error, "verify_message", "") or "unknown reason"
    return f"its certificate isn't accepted ({message})"


def _about_handshake(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    if reason in _NO_TLS:
        return "the server doesn't speak TLS; should the address begin with http://, or have a different port?"
    return f"the handshake failed ({reason.replace('_', ' ').lower() or 'no reason given'})"
