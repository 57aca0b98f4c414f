"""A mail server that does to each recipient what a script says, and remembers what it was handed."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

TAKE, DROP, STALL = "250 taken", "drop", "stall"
"""`DROP` ends the connection once the message was handed over, without a word; `STALL` says nothing any more."""


@dataclass
class ScriptedSmtp:
    """`script` maps an address to its answers, one a try, `250` afterwards; `550 ...` and `451 ...` are answers.

    An answer that begins with `RCPT ` is given to the recipient, any other to the message. `handed_over` are
    Message-IDs by address, one each time that a whole message came. `on_message` runs before a message is answered.
    """

    script: dict[str, Sequence[str]] = field(default_factory=dict)
    handed_over: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    connections: int = 0
    on_message: Callable[[str], Awaitable[None]] | None = None
    _tried: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def _answer(self, address: str) -> str:
        answers = self.script.get(address, ())
        tried = self._tried[address]
        self._tried[address] += 1
        return answers[tried] if tried < len(answers) else TAKE

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[ScriptedSmtp]:
        """Serve on loopback meanwhile."""
        tasks: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                # Ended by the test, or by who talks to it: either is no trouble of this server.
                with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                    await self._converse(reader, writer)
            finally:
                tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", port)
        try:
            yield self
        finally:
            server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        address, answer = "", TAKE

        async def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        await say("220 scripted")
        while line := (await reader.readline()).decode():
            command = line.upper().split()[0] if line.split() else ""
            if command == "EHLO":
                await say("250-scripted\r\n250 8BITMIME")
            elif command == "RCPT":
                address = line[line.index("<") + 1 : line.index(">")]
                answer = self._answer(address)
                await say(answer.removeprefix("RCPT ") if answer.startswith("RCPT ") else "250 OK")
            elif command == "DATA":
                await say("354 go on")
                content = await reader.readuntil(b"\r\n.\r\n")
                mail = email.message_from_bytes(content, policy=email.policy.default)
                self.handed_over[address].append(str(mail["Message-ID"]))
                if self.on_message is not None:
                    await self.on_message(address)
                if answer == DROP:
                    return
                if answer == STALL:
                    await reader.read()
                    return
                await say(answer)
            elif command == "QUIT":
                await say("221 bye")
                return
            else:
                await say("250 OK")
