"""`python -m deploy.local up` runs the stack; `token` prints a token that its services take."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local import folder, issuer
from deploy.local.folder import Folder

if TYPE_CHECKING:
    from deploy.local.stack import Stack


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    options = _parser().parse_args(arguments)
    status: int = options.run(options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(required=True)
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        default=folder.DEFAULT,
        help="the stack's folder (default: .onbelay)",
    )

    up = commands.add_parser(
        "up",
        parents=[data],
        help="start everything and stay, until SIGINT or SIGTERM",
        description="Start Kafka, MongoDB, a mail sink and the four services in sandbox mode, and stay until SIGINT "
        "or SIGTERM. When all are ready, DIR/stack.json tells where they are, and so does a line on standard output.",
    )
    up.add_argument("--free-ports", action="store_true", help="pick free ports, and remember them in DIR")
    up.add_argument("--no-restart", action="store_true", help="do not start again a child that died")
    up.add_argument("--only-engines", action="store_true", help="Kafka, MongoDB and the mail sink alone")
    up.set_defaults(run=_up)

    token = commands.add_parser("token", parents=[data], help="print a token signed by this stack's issuer")
    token.add_argument("--sub", required=True, help="the person, or the system, that it is for")
    token.add_argument("--org", required=True, help="the organization")
    token.add_argument("--scope", default="", help="scopes, with spaces between")
    token.add_argument(
        "--ttl", metavar="SECONDS", type=int, default=issuer.TTL_S, help="default: %(default)s"
    )
    token.add_argument("--audience", metavar="A", default=issuer.AUDIENCE, help="default: %(default)s")
    token.add_argument("--issuer", metavar="I", default=issuer.ISSUER, help="default: %(default)s")
    token.set_defaults(run=_token)

    keys = commands.add_parser(
        "keys",
        parents=[data],
        help="make this folder's issuer, where there is none, without a stack",
        description="Make the key pair that tokens are signed with, for services that run elsewhere, such as in "
        "containers; print where its public half is (ONBELAY_AUTH_JWKS).",
    )
    keys.set_defaults(run=_keys)
    return parser


def _keys(options: argparse.Namespace) -> int:
    print(Folder(options.data).issuer().jwks)
    return 0


def _token(options: argparse.Namespace) -> int:
    try:
        signer = issuer.Issuer.read(Folder(options.data).keys)
    except issuer.NoIssuer:
        say(f"there is no stack in {options.data}: start one with `python -m deploy.local up`")
        return 1
    print(
        signer.token(
            options.sub,
            options.org,
            options.scope,
            ttl=options.ttl,
            audience=options.audience,
            issuer=options.issuer,
        )
    )
    return 0


def _up(options: argparse.Namespace) -> int:
    # What starts engines is not there where services alone are installed, and tokens are made there too.
    try:
        from deploy.local.children import StartFailed
        from deploy.local.foreground import in_foreground
        from deploy.local.jars import BadJar, kafka_jars
        from deploy.local.stack import Options
    except ImportError as error:
        say(f"{error}: `make setup` installs what is needed")
        return 1
    if sys.platform != "linux":
        say("this runs on Linux; elsewhere use `docker compose up`")
        return 1
    where = Folder(options.data)
    wanted = Options(
        free_ports=options.free_ports, restart=not options.no_restart, only_engines=options.only_engines
    )
    try:
        with where.locked():
            kafka_jars()
            asyncio.run(in_foreground(where, wanted, _describe))
    except (folder.InUse, folder.PortTaken, StartFailed, BadJar) as error:
        say(str(error))
        return 1
    return 0


def say(line: str) -> None:
    """Tell the person at the terminal; standard output is kept for what was asked for."""
    print(line, file=sys.stderr, flush=True)


async def _describe(stack: Stack) -> None:
    """Say where everything is, and stay."""
    print(json.dumps(stack.description), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
