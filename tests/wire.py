"""Infrastructure between the bot and the outside: a company's certificate authority, TLS, and a proxy with a log."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OPENSSL = shutil.which("openssl")


@dataclass
class Authority:
    """A certificate authority that no system trusts, in a folder."""

    folder: Path

    def __post_init__(self) -> None:
        self._run("req", "-x509", *self._new_key("ca"), "-out", "ca.pem", "-days", "3650", "-subj", "/CN=Company CA")

    @property
    def file(self) -> str:
        """The file with which a client trusts it."""
        return str(self.folder / "ca.pem")

    def context(self, *names: str, days: int = 30, is_signed: bool = True) -> ssl.SSLContext:
        """Create a certificate for these names; return what a server needs to present it."""
        name = f"{names[0]}-{days}-{is_signed}"
        listed = ",".join(f"IP:{one}" if one[0].isdigit() else f"DNS:{one}" for one in names)
        subject = ("-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={listed}")
        if is_signed:
            (self.folder / "san").write_text(f"subjectAltName={listed}\n")
            self._run("req", *self._new_key(name), "-out", f"{name}.csr", *subject)
            signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san")
            self._run("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", "-days", str(days), *signing)
        else:
            self._run("req", "-x509", *self._new_key(name), "-out", f"{name}.pem", "-days", str(days), *subject)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    def put_into(self, folder: Path) -> None:
        """Put its certificate into a folder, under the name by which OpenSSL finds it."""
        found = self._run("x509", "-hash", "-noout", "-in", "ca.pem")
        (folder / f"{found.decode().strip()}.0").write_bytes((self.folder / "ca.pem").read_bytes())

    def _new_key(self, name: str) -> tuple[str, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")

    def _run(self, *arguments: str) -> bytes:
        done = subprocess.run([str(OPENSSL), *arguments], cwd=self.folder, check=True, capture_output=True)
        return done.stdout


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


async def _join(reader: Any, writer: Any, port: int) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port)
    try:
        await asyncio.gather(_pipe(reader, back), _pipe(there, writer))
    finally:
        back.transport.abort()


@contextlib.asynccontextmanager
async def listening(handle: Any, **options: Any) -> Any:
    """Listen on a free local port during the block; yields the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handle(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(handled, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def tls_before(port: int, context: ssl.SSLContext) -> Any:
    """Add TLS to a local server; yields the port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _join(reader, writer, port)

    async with listening(handle, ssl=context) as tls_port:
        yield tls_port


@dataclass
class ConnectProxy:
    """An HTTP proxy for CONNECT that records requested hosts, and resolves hosts that only it knows."""

    hosts: dict[str, int]
    credentials: str = ""
    status: int = 200
    log: list[str] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split("\r\n")[0].split()
        self.log.append(f"{method} {target}")
        given = next((line for line in head.split("\r\n") if line.lower().startswith("proxy-authorization:")), "")
        wanted = base64.b64encode(self.credentials.encode()).decode()
        status = 407 if self.credentials and not given.endswith(f"Basic {wanted}") else self.status
        if method != "CONNECT" or target not in self.hosts:
            status = 403 if status == 200 else status
        writer.write(f"HTTP/1.1 {status} So it is\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        if status == 200:
            await _join(reader, writer, self.hosts[target])
