"""A mail sink: takes every message and puts it into a maildir, for people and tests to look at.

Run as `python -m deploy.local.mail --port PORT --maildir DIR`.
"""

from __future__ import annotations

import argparse
import asyncio
import mailbox
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.children import Program
from deploy.local.ports import HOST

MAX_BYTES = 16 * 1024 * 1024


class Sink:
    """Writes each message as it came, with the envelope in headers before it (`Return-Path`, `Delivered-To`)."""

    def __init__(self, maildir: Path) -> None:
        self._box = mailbox.Maildir(maildir, create=True)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Answers once the message is on the disk: a mail said to be sent can be found."""
        lines = [f"Return-Path: <{envelope.mail_from}>", *(f"Delivered-To: {to}" for to in envelope.rcpt_tos)]
        content = envelope.content or b""
        head = "".join(f"{line}\r\n" for line in lines).encode()
        self._box.add(head + (content.encode() if isinstance(content, str) else content))
        return "250 OK"


def program(port: int, maildir: Path, log: Path) -> Program:
    """What runs the sink."""
    argv = (sys.executable, "-m", "deploy.local.mail", "--port", str(port), "--maildir", str(maildir))
    return Program("mail", argv, log)


async def answers(port: int) -> None:
    """A probe: returns when the sink greets.

    Raises:
        OSError, TimeoutError: it does not yet.
    """
    async with asyncio.timeout(2):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            if not (await reader.readline()).startswith(b"220"):
                raise OSError("no SMTP greeting")
            writer.write(b"QUIT\r\n")
            await reader.read()
        finally:
            writer.close()


async def serve(port: int, maildir: Path) -> None:
    """Take mail until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sink = Sink(maildir)
    server = await loop.create_server(
        lambda: SMTP(sink, data_size_limit=MAX_BYTES, enable_SMTPUTF8=True, hostname="localhost", loop=loop),
        HOST,
        port,
    )
    async with server:
        await stop.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sink."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.mail", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--maildir", type=Path, required=True)
    options = parser.parse_args(arguments)
    asyncio.run(serve(options.port, options.maildir))


if __name__ == "__main__":
    main()
