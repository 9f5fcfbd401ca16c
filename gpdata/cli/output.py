"""How the commands that answer write an answer: a table for people, files for programs, pictures for papers."""

from __future__ import annotations

import io
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from gpdata.errors import InvalidInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.console import RenderableType

TABLES = ("table", "csv", "json", "jsonl", "parquet")
PICTURES = ("png", "svg", "pdf")
STATUS = (
    "Exit status: 0 answered, also where the answer has no rows; 1 a fault of gpdata; 2 something to mend; 130 Ctrl-C."
)
"""The end of the help of every command that answers."""

_BINARY = ("parquet", *PICTURES)
_SUFFIXES = {".txt": "table", ".ndjson": "jsonl", ".gv": "dot"}
_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}
_DOTS_PER_INCH = 150


@dataclass(frozen=True)
class Answer:
    """What a command found, in each form that it can be written in.

    Parameters
    ----------
    rows : pyarrow.Table
        Exactly what the library answered: for programs.
    shown : callable
        Makes the table for people, with rounded numbers, for so many columns of a terminal; None: for no terminal.
    picture : callable, optional
        Draws it.
    said : sequence of str
        What people should know beside it, such as why there are no rows; goes to standard error.
    """

    rows: pa.Table
    shown: Callable[[int | None], RenderableType]
    picture: Callable[[], Axes] | None = None
    said: Sequence[str] = ()


def output_options(
    forms: Sequence[str], default: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let a command take ``--format`` and ``--output``; the first of `forms` is the default, or what `default` says."""
    kind = click.Choice(forms)
    shown = f"How to write it.  [default: by the suffix of FILE, else {default or forms[0]}]"
    where = "The file to write, whole or not at all; one that is there is replaced.  [default: standard output]"

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        file = click.Path(dir_okay=False, allow_dash=True)
        command = click.option("--output", "-o", metavar="FILE", type=file, help=where)(command)
        return click.option("--format", "-f", "form", type=kind, help=shown)(command)

    return decorate


def chosen_form(form: str | None, output: str | None, forms: Sequence[str]) -> str:
    """Return how to write: as was said, else by the suffix of the file, else the first of `forms`.

    Raises
    ------
    InvalidInput
        The suffix says nothing, or bytes that are no text would go to a terminal.

    Examples
    --------
    >>> chosen_form(None, "runs.csv", TABLES), chosen_form("json", "runs.csv", TABLES)
    ('csv', 'json')
    """
    to_screen = output in (None, "-")
    if form is None and not to_screen:
        suffix = Path(str(output)).suffix
        form = _SUFFIXES.get(suffix.lower(), suffix.lower().removeprefix("."))
        if form not in forms:
            suffixes = ", ".join(f".{name}" for name in forms if name != "table")
            raise InvalidInput(
                f"{output!r} does not tell how to write it: valid are the suffixes {suffixes}; or give --format, "
                f"one of {', '.join(forms)}"
            )
    form = form or forms[0]
    if to_screen and form in _BINARY and sys.stdout.isatty():
        raise InvalidInput(f"{form} is not for a terminal; write it to a file: --output FILE.{form}")
    return form


def write(answer: Answer, form: str, output: str | None) -> None:
    """Write an answer in one of the forms, and say beside it what people should know."""
    data: bytes | None = None
    if form in PICTURES:
        if answer.picture is None:
            raise InvalidInput(f"there is no picture of this; valid formats are {', '.join(TABLES)}")
        data = _drawn(answer.picture, form)
    elif form == "table":
        shown = answer.shown
        data = _as_text(shown, output)
    with opened(output) as sink:
        if data is None:
            write_rows(answer.rows.to_reader(), form, sink)
        else:
            sink.write(data)
    for text in answer.said:
        click.echo(text, err=True)


@contextmanager
def opened(output: str | None) -> Iterator[BinaryIO]:
    """Open what an answer goes to; a file takes its name when it is complete, and replaces an older one then.

    Raises
    ------
    InvalidInput
        The file's folder does not exist.
    """
    if output is None or output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    if path.exists() and not path.is_file():  # a device or a pipe, which keeps its place
        with path.open("wb") as sink:
            yield sink
        return
    path = path.resolve()
    if not path.parent.is_dir():
        raise InvalidInput(f"{output!r} has no place: {path.parent} is no folder. Make it, or name another.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as sink:
            yield sink
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_file(make: Callable[[Path], object], output: str | None) -> None:
    """Write what `make` puts into a file that it is given, where it knows files only."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "made"
        make(path)
        with path.open("rb") as made, opened(output) as sink:
            while block := made.read(1 << 20):
                sink.write(block)


def write_rows(rows: pa.RecordBatchReader, form: str, sink: BinaryIO) -> int:
    r"""Write rows batch by batch, holding one batch at a time, and return how many there were.

    In CSV, null is an empty field and an empty text is ``""``: texts have quotes always, lists and maps are JSON. In
    JSON, what it has no number for is the text "NaN", "Infinity" or "-Infinity", as in a line of an upload.

    Examples
    --------
    >>> table = pa.table({"run": ["a", None], "error": [0.1, float("nan")], "errors": [[1.0, None], None]})
    >>> for form in ("csv", "jsonl"):
    ...     sink = io.BytesIO()
    ...     rows = write_rows(table.to_reader(), form, sink)
    ...     print(sink.getvalue().decode(), end="")
    "run","error","errors"
    "a",0.1,"[1.0,null]"
    ,nan,
    {"run":"a","error":0.1,"errors":[1.0,null]}
    {"run":null,"error":"NaN","errors":null}
    """
    count = 0
    if form in ("json", "jsonl"):
        between = b"\n" if form == "jsonl" else b",\n"
        sink.write(b"" if form == "jsonl" else b"[")
        for batch in rows:
            lines = list(map(msgspec.json.encode, _records(batch)))
            if lines:
                sink.write((between if count else b"") + between.join(lines))
            count += batch.num_rows
        sink.write(b"]\n" if form == "json" else b"\n" if count else b"")
        return count
    with _writer(rows.schema, form, sink) as writer:
        for batch in rows:
            writer.write_batch(_flat(batch) if form == "csv" else batch)
            count += batch.num_rows
    return count


def _writer(schema: pa.Schema, form: str, sink: BinaryIO) -> Any:
    if form == "parquet":
        import pyarrow.parquet as pq

        return pq.ParquetWriter(sink, schema, compression="zstd")
    from pyarrow.csv import CSVWriter

    return CSVWriter(sink, pa.schema([(field.name, _flat_type(field.type)) for field in schema]))


def _flat_type(type_: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_nested(type_) else type_


def _flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Write lists and maps as JSON texts, for CSV."""
    columns = []
    for column in batch.columns:
        if pa.types.is_nested(column.type):
            texts = (None if value is None else msgspec.json.encode(value).decode() for value in _values(column))
            column = pa.array(texts, pa.string())
        columns.append(column)
    return pa.record_batch(columns, names=batch.schema.names)


def _records(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    names = batch.schema.names
    for values in zip(*map(_values, batch.columns), strict=True):
        yield dict(zip(names, values, strict=True))


def _values(column: pa.Array) -> list[Any]:
    """Return the values of a column as JSON has them."""
    values: list[Any] = column.to_pylist()
    if pa.types.is_map(column.type):
        return [None if value is None else dict(value) for value in values]
    inner = column.flatten() if pa.types.is_list(column.type) else column
    if pa.types.is_floating(inner.type) and not pc.all(pc.is_finite(inner), min_count=0).as_py():
        return list(map(_as_json, values))
    return values


def _as_json(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_as_json, value))
    return value if value is None or math.isfinite(value) else _NOT_FINITE.get(value, "NaN")


def _drawn(picture: Callable[[], Axes], form: str) -> bytes:
    import matplotlib

    matplotlib.use("agg")  # whatever screen there is: nothing is to open on it
    import matplotlib.pyplot as plt

    figure = cast("Figure", picture().get_figure(root=True))
    drawn = io.BytesIO()
    figure.savefig(drawn, format=form, dpi=_DOTS_PER_INCH)
    plt.close(figure)
    return drawn.getvalue()


def _as_text(shown: Callable[[int | None], RenderableType], output: str | None) -> bytes:
    """Render a table: as wide as the terminal, or as wide as it is, without colours, where there is none."""
    from rich.console import Console

    to_screen = output in (None, "-")
    terminal = to_screen and sys.stdout.isatty()
    console = Console() if to_screen else Console(file=io.StringIO())
    table = shown(console.width if terminal else None)
    if not terminal:
        console.width = max(
            console.width, console.measure(table, options=console.options.update(width=100_000)).maximum
        )
    with console.capture() as captured:
        console.print(table, highlight=False)
    text = "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())
    encoding = (sys.stdout.encoding if to_screen else None) or "utf-8"
    return text.encode(encoding, errors="replace")
