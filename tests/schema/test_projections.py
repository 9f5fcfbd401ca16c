"""The projections of the declaration: Spark, and the documentation page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from gpdata.schema import TABLES, Column, Table, Type, arrow_schema
from gpdata.schema.arrow import ARROW
from gpdata.schema.markdown import page, section
from gpdata.schema.spark import SPARK, spark_json, spark_schema

ROOT = Path(__file__).resolve().parents[2]

tables = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


@tables
def test_a_key_is_never_null_and_no_name_stands_twice(table: Table) -> None:
    assert not [name for name in table.key if table[name].nullable]
    assert len(set(table.names)) == len(table.names)


def test_every_type_has_every_projection() -> None:
    assert set(ARROW) == set(SPARK) == set(Type)


@tables
def test_spark_is_what_pyspark_makes_of_arrow(table: Table) -> None:
    assert spark_schema(table) == from_arrow_schema(arrow_schema(table))


@tables
def test_spark_json_is_what_pyspark_writes_and_reads(table: Table) -> None:
    text = spark_json(table)
    assert text == spark_schema(table).json()
    assert StructType.fromJson(json.loads(text)) == spark_schema(table)


def test_spark_json_does_not_import_pyspark() -> None:
    code = (
        "import sys; from gpdata.schema import RUNS; from gpdata.schema.spark import spark_json; "
        "spark_json(RUNS); sys.exit('pyspark' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_of_the_documentation_is_current() -> None:
    assert (ROOT / "docs" / "schema.md").read_text(encoding="utf-8") == page(), (
        "docs/schema.md is not what the declaration says; make it anew: "
        "gpdata schema --format markdown > docs/schema.md"
    )


def cells(markdown: str) -> list[list[str]]:
    """Read back the rows of the tables in a Markdown text, without its heads."""
    lines = [line for line in markdown.splitlines() if line.startswith("| ")]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


@tables
def test_a_section_tells_every_column(table: Table) -> None:
    text = section(table)
    assert cells(text) == [
        [f"`{c.name}`", f"`{c.type.value}`", c.unit or "none", c.meaning, c.null or "never", c.source]
        for c in table.columns
    ]
    assert all(f"- {rule}\n" in text for rule in table.invariants)
    assert f"Key: {', '.join(f'`{name}`' for name in table.key)}." in text
    assert table.grain[1:] in text


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    column = Column("x", Type.INT, "a | b", "here", null="not | sent")
    assert cells(section(Table("t", "one row per x", ("x",), (column,)))) == [
        ["`x`", "`int`", "none", "a | b", "not | sent", "here"]
    ]
