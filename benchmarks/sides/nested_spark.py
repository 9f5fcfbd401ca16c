"""The design that gpdata replaced: Spark over files that hold a generation's population in one row.

The questions are asked as its notebooks asked them: the last generation of a run is rank 1 of a window over the run,
individuals are `explode(population)`, genes `explode(genome)`, and the group of a run stands in each of its rows, in
`config`. What a line did not say of its population, such as its least error, is worked out from the population. Which
columns are read is Spark's affair, and nested columns it prunes by itself. `benchmarks.nested` makes the files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks import spark_by_hand as by_hand
from benchmarks.contests import BY
from benchmarks.nested import make_nested, nested_of
from benchmarks.sides.by_hand_spark import answer, start, walk
from benchmarks.spark_by_hand import wilson

_INDIVIDUAL = {
    "location": "INT",
    "uuid": "STRING",
    "parent-uuids": "ARRAY<STRING>",
    "total-error": "DOUBLE",
    "errors": "ARRAY<DOUBLE>",
    "age": "DOUBLE",
    "program": "STRING",
    "genome": "ARRAY<STRUCT<instruction: STRING, type: STRING>>",
}
_REPORT = ("mean-genome-size", "mean-program-size", "mean-program-percent-params")

# A row for each generation, and each individual of it.
_LINES = """
SELECT `config-uuid` AS run_uuid, `index` AS generation, {group} AS g, outcome, population,
  best.individual.`test-errors` AS tests, {report} FROM N"""
_INDIVIDUALS = """
SELECT run_uuid, generation, g, outcome, {fields}
FROM (SELECT run_uuid, generation, g, outcome, explode(population) AS individual FROM {lines})"""

_LAST = """
SELECT * FROM (SELECT *, rank() OVER (PARTITION BY run_uuid ORDER BY generation DESC) AS rank FROM lines)
WHERE rank = 1"""

_LAST_GENERATION = """
SELECT run_uuid, generation, outcome, min(nanvl(total_error, NULL)) AS total_error_min FROM last_individuals
GROUP BY run_uuid, generation, outcome"""

_SUCCESS_TABLE = f"""
WITH facts AS (
  SELECT g, outcome <> 'continue' AS finished, outcome = 'success' AS success, generation, tests FROM last_lines),
counts AS (
  SELECT g, count(*) AS runs, count_if(finished) AS finished, count_if(success) AS successes,
    IF(count_if(size(tests) > 0) > 0, count_if(success AND size(tests) > 0 AND forall(tests, x -> x = 0)), NULL)
      AS generalising,
    CAST(count_if(success) AS DOUBLE) AS k, CAST(nullif(count_if(finished), 0) AS DOUBLE) AS n,
    min(IF(success, generation, NULL)) AS generations_min,
    percentile(IF(success, generation, NULL), 0.5) AS generations_median,
    max(IF(success, generation, NULL)) AS generations_max
  FROM facts GROUP BY g)
SELECT g, runs, finished, successes, generalising, k / n AS rate, {wilson("k", "n")} AS rate_low,
  1 - {wilson("(n - k)", "n")} AS rate_high, generations_min, generations_median, generations_max
FROM counts ORDER BY g"""

_CUMULATIVE_SUCCESS = f"""
WITH facts AS (
  SELECT g, run_uuid, IF(outcome = 'success', generation, NULL) AS solved_at FROM last_lines
  WHERE outcome <> 'continue'),
counted AS (SELECT g, count(*) AS runs FROM facts GROUP BY g),
points AS (
  SELECT facts.g, lines.generation, count_if(lines.generation = solved_at) AS new
  FROM lines JOIN facts USING (run_uuid) GROUP BY facts.g, lines.generation),
curve AS (
  SELECT points.g, generation, runs, sum(new) OVER (PARTITION BY points.g ORDER BY generation) AS solved
  FROM points JOIN counted ON points.g <=> counted.g)
SELECT g, generation, runs, solved, solved / runs AS probability,
  {wilson("CAST(solved AS DOUBLE)", "runs")} AS probability_low,
  1 - {wilson("CAST(runs - solved AS DOUBLE)", "runs")} AS probability_high
FROM curve ORDER BY g, generation"""

_ERROR_CURVES = """
WITH points AS (
  SELECT run_uuid, g, generation, min(nanvl(total_error, NULL)) AS best FROM individuals
  GROUP BY run_uuid, g, generation)
SELECT g, generation, count(best) AS runs, percentile(best, 0.5) AS best_median, percentile(best, 0.25) AS best_q1,
  percentile(best, 0.75) AS best_q3, mean(best) AS best_mean
FROM points GROUP BY g, generation ORDER BY g, generation"""

# The sender's own means: its report has them. Where it has none, the genomes are measured.
_REPORTED = "SELECT g, generation, {} FROM lines".format(
    ", ".join(f"nanvl(`{name}`, NULL) AS `{name}`" for name in _REPORT)
)
_MEASURED = """
SELECT g, generation, avg(size(genome)) AS `mean-genome-size`, CAST(NULL AS DOUBLE) AS `mean-program-size`,
  CAST(NULL AS DOUBLE) AS `mean-program-percent-params` FROM individuals GROUP BY run_uuid, g, generation"""
_SIZE_CURVES = "WITH points AS ({}) SELECT g, generation, count(*) AS runs, {} FROM points GROUP BY g, generation"
_QUARTILES = ", ".join(f"percentile(`{name}`, {share})" for name in _REPORT for share in (0.5, 0.25, 0.75))

_ERT = """
WITH sizes AS (
  SELECT run_uuid, g, generation, outcome, count(location) AS size FROM individuals
  GROUP BY run_uuid, g, generation, outcome),
charges AS (
  SELECT *, size * (generation - coalesce(lag(generation) OVER w, -1)) AS charged,
    rank() OVER (PARTITION BY run_uuid ORDER BY generation DESC) AS rank
  FROM sizes WINDOW w AS (PARTITION BY run_uuid ORDER BY generation)),
ends AS (
  SELECT run_uuid, g, sum(charged) AS spent, bool_or(rank = 1 AND outcome = 'success') AS reached
  FROM charges GROUP BY run_uuid, g)
SELECT g, count(*) AS runs, count_if(reached) AS successes, CAST(sum(spent) AS DOUBLE) AS evaluations,
  sum(spent) / nullif(count_if(reached), 0) AS ert
FROM ends GROUP BY g ORDER BY g"""

_AGE_ERROR = """
SELECT run_uuid, generation, location, age, total_error, coalesce(size(parent_uuids) = 0, false) AS is_genesis
FROM individuals WHERE NOT isnan(age) AND NOT isnan(total_error)"""

_INSTRUCTION_FREQUENCY = """
WITH genes AS (SELECT g, run_uuid, explode(genome) AS gene FROM individuals),
counts AS (
  SELECT g, run_uuid, gene.instruction, gene.type, count(*) AS n FROM genes
  GROUP BY g, run_uuid, gene.instruction, gene.type)
SELECT g, instruction, type, sum(n) AS genes, sum(n) / sum(sum(n)) OVER (PARTITION BY g) AS share, count(*) AS runs
FROM counts GROUP BY g, instruction, type ORDER BY g, genes DESC, instruction, type"""


def prepare(lake: Path) -> Any:
    """Write the nested files where they are not there, start a session, and name rows and individuals."""
    files = nested_of(lake)
    make_nested(lake, files)
    session = start("nested")
    rows = session.read.parquet(*map(str, sorted(files.glob("*.parquet"))))
    rows.createOrReplaceTempView("N")
    schema = rows.schema
    argmap = schema["config"].dataType["argmap"].dataType.names
    report = getattr(schema["population-report"].dataType, "names", [])
    individual = schema["population"].dataType.elementType.names
    lines = _LINES.format(
        group=f"config.argmap.`{BY}`" if BY in argmap else "CAST(NULL AS STRING)",
        report=", ".join(_named("`population-report`", name, "DOUBLE", name, report) for name in _REPORT),
    )
    fields = ", ".join(
        _named("individual", name, kind, name.replace("-", "_"), individual) for name, kind in _INDIVIDUAL.items()
    )
    views = {
        "lines": lines,
        "last_lines": _LAST,
        "individuals": _INDIVIDUALS.format(lines="lines", fields=fields),
        "last_individuals": _INDIVIDUALS.format(lines="last_lines", fields=fields),
        # The queries by hand over all individuals call them so.
        "I": "SELECT * FROM individuals",
    }
    for name, text in views.items():
        session.sql(text).createOrReplaceTempView(name)
    return session


def _named(of: str, field: str, kind: str, name: str, known: list[str]) -> str:
    """Return a field of a struct as a column; nulls where nobody sent it."""
    return f"{f'{of}.`{field}`' if field in known else f'CAST(NULL AS {kind})'} AS `{name}`"


def _size_curves(session: Any, run: str) -> pa.Table:
    reported = session.sql("SELECT any_value(`mean-genome-size`, true) FROM lines").first()[0] is not None
    return session.sql(_SIZE_CURVES.format(_REPORTED if reported else _MEASURED, _QUARTILES)).toArrow()


def _winner(run: str) -> str:
    return f"""
SELECT run_uuid, generation, location FROM last_individuals WHERE run_uuid = '{run}' AND NOT isnan(total_error)
ORDER BY total_error, location LIMIT 1"""


def _ancestry(session: Any, run: str) -> pa.Table:
    ((_, generation, location),) = session.sql(_winner(run)).collect()
    lines = f"SELECT generation, location, uuid, parent_uuids FROM individuals WHERE run_uuid = '{run}'"
    return walk(session.sql(lines).toArrow(), generation, location)


ANSWERS: dict[str, Callable[[Any, str], pa.Table]] = {
    "last_generation": answer(_LAST_GENERATION),
    "success_table": answer(_SUCCESS_TABLE),
    "cumulative_success": answer(_CUMULATIVE_SUCCESS),
    "error_curves": answer(_ERROR_CURVES),
    "size_curves": _size_curves,
    "ert": answer(_ERT),
    "diversity": answer(by_hand.DIVERSITY),
    "age_error": answer(_AGE_ERROR),
    "lexicase_stats": answer(by_hand.LEXICASE_STATS),
    "elite_cases": answer(by_hand.ELITE_CASES),
    "instruction_frequency": answer(_INSTRUCTION_FREQUENCY),
    "winner": lambda session, run: session.sql(_winner(run)).toArrow(),
    "ancestry": _ancestry,
}
