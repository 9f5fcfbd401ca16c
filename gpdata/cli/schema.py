"""`gpdata schema`: the schema of the tables, in the form that a tool or a person wants."""

from __future__ import annotations

import json

import click

from gpdata.schema import TABLES, Table, arrow_schema
from gpdata.schema.markdown import page, section
from gpdata.schema.spark import spark_json

BY_NAME = {table.name: table for table in TABLES}


@click.command()
@click.argument("table", required=False, type=click.Choice(list(BY_NAME)))
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "arrow", "spark", "json-schema"]),
    default="markdown",
    show_default=True,
    help="markdown: for people. arrow, spark: the types. json-schema: one line of an upload.",
)
def schema(table: str | None, form: str) -> None:
    """Print the schema of TABLE, or of all tables; with json-schema, that of one line to upload."""
    one = BY_NAME[table] if table else None
    match form:
        case "markdown":
            click.echo(section(one) if one else page(), nl=False)
        case "arrow":
            click.echo(_arrow(one) if one else "\n\n".join(f"# {t.name}\n{_arrow(t)}" for t in TABLES))
        case "spark":
            _echo_json(_spark(one) if one else {t.name: _spark(t) for t in TABLES})
        case _:
            if one:
                raise click.UsageError(
                    f"json-schema describes a whole line, not the table {one.name!r}: leave {one.name!r} out"
                )
            from gpdata.schema.json_schema import json_schema

            _echo_json(json_schema())


def _arrow(table: Table) -> str:
    return str(arrow_schema(table).to_string())


def _spark(table: Table) -> object:
    return json.loads(spark_json(table))


def _echo_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2))
