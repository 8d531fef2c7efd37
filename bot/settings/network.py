"""What all clients share about the network: through which proxies they go, and whose certificates they trust.

No client reads the environment by rules of its own. Nothing is connected to here.
"""

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
"""The variables that are about the network, in small letters."""

SYSTEM_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian
    "/etc/pki/tls/certs/ca-bundle.crt",  # Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)
"""Where a system keeps the authorities that it trusts; a Python built elsewhere may look in other places."""

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
    """The proxies and the trust that an environment asks for.

    Args:
        environment: names and values; only the variables about proxies and certificates are read.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.proxies = Proxies(environment)
        self._cert_file = environment.get(CERT_FILE, "").strip()
        self._cert_dir = environment.get(CERT_DIR, "").strip()

    @property
    def tls(self) -> ssl.SSLContext:
        """What certificates are checked against; the same object for all clients."""
        return _shared_tls(self._cert_file, self._cert_dir)

    def make_tls(self) -> ssl.SSLContext:
        """Make a context of its own, for a client that adds authorities to it."""
        return _make_tls(self._cert_file, self._cert_dir)

    def problems(self, urls: Iterable[str]) -> list[str]:
        """Say in sentences what keeps the bot from connecting to these addresses as the environment asks."""
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
        if self._cert_file and Path(self._cert_file).is_fifo():  # to open it would wait for whatever writes to it
            found.append(f"{CERT_FILE}: is a pipe; name a file of certificates in PEM format.")
        elif self._cert_file:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=self._cert_file)
            except ssl.SSLError:
                found.append(f"{CERT_FILE}: holds no certificates in PEM format; name a file of them.")
            except (OSError, ValueError):
                found.append(f"{CERT_FILE}: can't be read; name a file of certificates in PEM format, or unset it.")
        if self._cert_dir and not any(Path(folder).is_dir() for folder in _folders(self._cert_dir)):
            found.append(f"{CERT_DIR}: isn't a folder; name one with certificates, or unset it.")
        return found


DIRECT: Final = Network({})
"""No proxy, and the authorities that the system and certifi trust."""


def _folders(cert_dir: str) -> list[str]:
    return [folder for folder in cert_dir.split(os.pathsep) if folder]


@cache
def _shared_tls(cert_file: str, cert_dir: str) -> ssl.SSLContext:
    """Make it once: it takes 20 ms and a megabyte."""
    return _make_tls(cert_file, cert_dir)


def _make_tls(cert_file: str, cert_dir: str) -> ssl.SSLContext:
    """Trust certifi's authorities, the system's, and those that were named."""
    context = ssl.create_default_context(cafile=certifi.where())
    if sys.platform == "win32":
        context.load_default_certs()
    defaults = ssl.get_default_verify_paths()  # the names that are built in, not those that the environment has
    for file in (defaults.openssl_cafile, *SYSTEM_BUNDLES):
        if Path(file).is_file():
            try:
                context.load_verify_locations(cafile=file)
            except OSError:  # nobody asked for this one by name
                continue
            break
    folders = [defaults.openssl_capath, *_folders(cert_dir)]
    for folder in filter(os.path.isdir, folders):
        context.load_verify_locations(capath=folder)
    if cert_file:
        with contextlib.suppress(OSError):  # a wrong one was refused, unless nothing that is connected to needs it
            context.load_verify_locations(cafile=cert_file)
    return context


def tls_failure(error: BaseException | None) -> str:
    """Say in words how TLS failed, if that is behind an error; "" when it is not."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if type(error).__module__ == ssl.__name__:  # aiohttp's are of these classes, too, and know nothing
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
        return "the other side doesn't speak TLS; should the address begin with http://, or have another port?"
    return f"the handshake ended early ({reason.replace('_', ' ').lower() or 'no reason given'})"
