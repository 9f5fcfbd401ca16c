"""`gpdata token`: who may upload to an ingest service."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from gpdata.cli.options import chosen_lake, lake_option
from gpdata.errors import InvalidInput
from gpdata.ingest.tokens import SCOPES, Tokens
from gpdata.lake import Lake
from gpdata.storage import local


@click.group()
def token() -> None:
    """Create, list and revoke the tokens of an ingest service.

    A running service knows of each change within a second.
    """


def _place(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command take where the tokens are: with the lake, or in a directory of their own."""
    shown = "The directory of the tokens.  [default: tokens in the lake]"
    return click.option("--tokens", metavar="DIR", help=shown)(lake_option(command))


def _tokens(lake: str, tokens: str | None) -> Tokens:
    if tokens and lake:
        raise InvalidInput("both --tokens and --lake were given; the tokens are in one place: name one")
    return Tokens(
        Path(tokens) if tokens else local(Lake.open(chosen_lake(lake)).path, "a directory of tokens") / "tokens"
    )


@token.command()
@click.argument("user")
@click.option("--days", type=int, metavar="N", help="For how many days it is good.  [default: until it is revoked]")
@click.option("--scope", "scopes", type=click.Choice(SCOPES), multiple=True, help="May be repeated.  [default: both]")
@click.option("--note", metavar="TEXT", help="What it is for.")
@_place
def create(
    user: str, days: int | None, scopes: tuple[str, ...], note: str | None, lake: str, tokens: str | None
) -> None:
    """Make a token for a USER and print it; it is shown this once.

    Standard output has the token alone, so that TOKEN=$(gpdata token create ada) works.
    """
    made, secret = _tokens(lake, tokens).create(user, scopes or SCOPES, days, note)
    click.echo(secret)
    ends = "until it is revoked" if made.expires_at is None else f"until {made.expires_at:%Y-%m-%d %H:%M} UTC"
    may = " and ".join(made.scopes)
    click.echo(
        f"The token {made.id} is for {made.user}, who may {may} with it, {ends}. It is shown this once; only its hash\n"
        "is kept. Give it to gpdata on the machine that uploads as GPDATA_TOKEN, or to any HTTP client as\n"
        f"'Authorization: Bearer TOKEN'. 'gpdata token revoke {made.id}' ends it.",
        err=True,
    )


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a token.")
@_place
def list_(as_json: bool, lake: str, tokens: str | None) -> None:
    """List the tokens: whose they are, and what they are good for; never the secrets."""
    kept = _tokens(lake, tokens)
    found = kept.list()
    if as_json:
        for each in found:
            click.echo(msgspec.json.encode(msgspec.to_builtins(each) | {"state": kept.state(each)}))
        return
    if not found:
        click.echo("there are no tokens; make one with 'gpdata token create USER'")
        return
    table = Table("id", "user", "may", "state", "created", "expires", "note", box=None, pad_edge=False)
    for each in found:
        ends = "never" if each.expires_at is None else f"{each.expires_at:%Y-%m-%d}"
        created, may = f"{each.created_at:%Y-%m-%d}", ", ".join(each.scopes)
        table.add_row(each.id, each.user, may, kept.state(each), created, ends, each.note or "")
    Console(width=None if sys.stdout.isatty() else 200).print(table, markup=False)


@token.command()
@click.argument("id_", metavar="ID")
@_place
def revoke(id_: str, lake: str, tokens: str | None) -> None:
    """End the token with this ID for good; uploads under way with it are closed."""
    ended = _tokens(lake, tokens).revoke(id_)
    click.echo(f"the token {ended.id} of {ended.user} is revoked since {ended.revoked_at:%Y-%m-%d %H:%M} UTC")
