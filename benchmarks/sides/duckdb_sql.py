"""What a person who knows DuckDB well would write over the lake's files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

import gpdata as gp
from benchmarks.contests import BY
from gpdata.lake.encoding import TYPE_PATTERNS

_Z = 1.959963984540054
_GROUPED = f"""grouped AS (SELECT run_uuid, trim(config['{BY}'], '"') AS g FROM R)"""
"""The config holds JSON texts."""
_LAST = """last AS (SELECT run_uuid, max(generation) AS generation, arg_max_null(outcome, generation) AS outcome,
  arg_max_null(best_test_errors, generation) AS tests FROM G GROUP BY run_uuid)"""


def _wilson(k: str, n: str) -> str:
    root = f"sqrt({_Z * _Z} + 4 * {k} * ({n} - {k}) / {n})"
    return f"(2 * {k} + {_Z * _Z} - {_Z} * {root}) / (2 * ({n} + {_Z * _Z}))"


_LAST_GENERATION = """
SELECT run_uuid, max(generation), arg_max_null(outcome, generation), arg_max_null(total_error_min, generation)
FROM G GROUP BY run_uuid"""

_SUCCESS_TABLE = f"""
WITH {_GROUPED}, {_LAST}, facts AS (
  SELECT g, outcome <> 'continue' AS finished, outcome = 'success' AS success, generation, tests
  FROM grouped LEFT JOIN last USING (run_uuid)),
counts AS (
  SELECT g, count(*) AS runs, count(*) FILTER (finished) AS finished, count(*) FILTER (success) AS successes,
    count(*) FILTER (len(tests) > 0) AS tested,
    count(*) FILTER (success AND len(tests) > 0 AND len([x FOR x IN tests IF x <> 0]) = 0) AS clean,
    CAST(successes AS DOUBLE) AS k, CAST(nullif(count(*) FILTER (finished OR success), 0) AS DOUBLE) AS n,
    min(generation) FILTER (success) AS least, median(generation) FILTER (success) AS middle,
    max(generation) FILTER (success) AS greatest
  FROM facts GROUP BY g)
SELECT g, runs, finished, successes, IF(tested > 0, clean, NULL), k / n, {_wilson("k", "n")},
  1 - {_wilson("(n - k)", "n")}, least, middle, greatest FROM counts"""

_ERROR_CURVES = f"""
WITH {_GROUPED}, points AS (
  SELECT g, generation, IF(isnan(total_error_min), NULL, total_error_min) AS best FROM G JOIN grouped USING (run_uuid)),
curve AS (
  SELECT g, generation, count(best) AS runs, quantile_cont(best, [0.5, 0.25, 0.75]) AS q, avg(best) AS mean
  FROM points GROUP BY g, generation)
SELECT g, generation, runs, q[1], q[2], q[3], mean FROM curve"""

_CUMULATIVE_SUCCESS = f"""
WITH {_GROUPED}, {_LAST}, facts AS (
  SELECT g, run_uuid, IF(outcome = 'success', generation, NULL) AS solved_at
  FROM grouped JOIN last USING (run_uuid) WHERE outcome <> 'continue'),
counted AS (SELECT g, count(*) AS runs FROM facts GROUP BY g),
points AS (
  SELECT g, generation, count(*) FILTER (generation = solved_at) AS new
  FROM G JOIN facts USING (run_uuid) GROUP BY g, generation),
curve AS (
  SELECT points.g, generation, runs, sum(new) OVER (PARTITION BY points.g ORDER BY generation) AS solved
  FROM points JOIN counted ON points.g IS NOT DISTINCT FROM counted.g)
SELECT g, generation, runs, CAST(solved AS BIGINT), solved / runs, {_wilson("CAST(solved AS DOUBLE)", "runs")},
  1 - {_wilson("CAST(runs - solved AS DOUBLE)", "runs")} FROM curve"""

_ERT = f"""
WITH {_GROUPED}, charged AS (
  SELECT run_uuid, generation, outcome, CAST(population_size AS DOUBLE) * (generation - coalesce(lag(generation) OVER
    (PARTITION BY run_uuid ORDER BY generation), -1)) AS charged FROM G),
ends AS (
  SELECT run_uuid, sum(charged) AS spent, arg_max_null(outcome, generation) = 'success' AS reached
  FROM charged GROUP BY run_uuid)
SELECT g, count(*), count(*) FILTER (reached) AS successes, sum(spent), sum(spent) / nullif(successes, 0)
FROM ends JOIN grouped USING (run_uuid) GROUP BY g"""

_SIZES = {
    "genome": "genome_size_mean",
    "program": "coalesce(IF(isnan(program_size_mean), NULL, program_size_mean), report['mean-program-size'])",
    "parens": "report['mean-program-percent-params']",
}
_SIZE_CURVES = f"""
WITH {_GROUPED}, raw AS (
  SELECT g, generation, {", ".join(f"{how} AS {name}" for name, how in _SIZES.items())}
  FROM G JOIN grouped USING (run_uuid)),
points AS (SELECT g, generation, {", ".join(f"IF(isnan({name}), NULL, {name}) AS {name}" for name in _SIZES)} FROM raw),
curve AS (
  SELECT g, generation, count(*) AS runs,
    {", ".join(f"quantile_cont({name}, [0.5, 0.25, 0.75]) AS {name}" for name in _SIZES)}
  FROM points GROUP BY g, generation)
SELECT g, generation, runs, {", ".join(f"{name}[{at}]" for name in _SIZES for at in (1, 2, 3))} FROM curve"""

_DIVERSITY = """
SELECT run_uuid, generation, count(*) AS n, count(DISTINCT errors) / n,
  count(DISTINCT IF(isnan(total_error), NULL, total_error)) / n, nullif(count(DISTINCT program), 0) / n
FROM I GROUP BY run_uuid, generation"""

_AGE_ERROR = """
SELECT run_uuid, generation, location, age, total_error,
  coalesce(IF(ids IS NULL, len(parent_uuids_text) = 0, len(ids) = 1), false)
FROM I WHERE NOT isnan(age) AND NOT isnan(total_error)"""

# Types that follow from how an instruction is written are not stored: they are worked out once counted.
_LOOKS = " ".join(f"WHEN regexp_matches(instruction, '{pattern}') THEN '{name}'" for name, pattern in TYPE_PATTERNS)
_INSTRUCTION_FREQUENCY = f"""
WITH {_GROUPED}, numbered AS (SELECT run_uuid, g, row_number() OVER () AS number FROM grouped),
plain AS (
  SELECT number, unnest(gene_instruction) AS instruction FROM I JOIN numbered USING (run_uuid) WHERE gene_type IS NULL),
typed AS (
  SELECT number, unnest(gene_instruction) AS instruction, unnest(gene_type) AS type
  FROM I JOIN numbered USING (run_uuid) WHERE gene_type IS NOT NULL),
stored AS (
  SELECT number, instruction, NULL AS type, count(*) AS n FROM plain GROUP BY number, instruction
  UNION ALL SELECT number, instruction, type, count(*) AS n FROM typed GROUP BY number, instruction, type),
counts AS (
  SELECT number, instruction, coalesce(type, CASE {_LOOKS} ELSE 'string' END) AS type, sum(n) AS n
  FROM stored GROUP BY ALL)
SELECT g, instruction, type, CAST(sum(n) AS BIGINT), sum(n) / sum(sum(n)) OVER (PARTITION BY g), count(*)
FROM counts JOIN numbered USING (number) GROUP BY g, instruction, type"""


# A population holds few different error vectors: each is taken apart once. A number stands for run and generation.
def _numbers(kept: str) -> str:
    return f"""keyed AS (SELECT run_uuid, generation, row_number() OVER () AS key FROM G),
vectors AS (SELECT key, errors, {kept} FROM I JOIN keyed USING (run_uuid, generation) GROUP BY key, errors),
values AS (SELECT * EXCLUDE (errors), generate_subscripts(errors, 1) - 1 AS k, unnest(errors) AS value FROM vectors)"""


_LEXICASE_STATS = f"""
WITH {_numbers("count(*) AS n")},
alike AS (SELECT key, k, IF(isnan(value), NULL, value) AS error, sum(n) AS n FROM values GROUP BY ALL),
stats AS (
  SELECT key, k, sum(n) FILTER (error IS NOT NULL) AS numbers, min(error) AS least, arg_min(n, error) AS elite,
    sum(n) FILTER (error = 0) AS zero
  FROM alike GROUP BY key, k)
SELECT run_uuid, generation, k, CAST(coalesce(numbers, 0) AS BIGINT), least, CAST(coalesce(elite, 0) AS BIGINT),
  CAST(coalesce(zero, 0) AS BIGINT) FROM stats JOIN keyed USING (key)"""

_ELITE_CASES = f"""
WITH {_numbers("list(location) AS locations")},
least AS (SELECT key, k, min(IF(isnan(value), NULL, value)) AS least FROM values GROUP BY key, k),
best AS (SELECT key, list(least ORDER BY k) AS least FROM least GROUP BY key),
counted AS (
  SELECT key, locations, len([x FOR x IN errors IF NOT isnan(x)]) AS cases,
    len([x FOR x, i IN errors IF x = least[i] AND NOT isnan(x)]) AS elite, len([x FOR x IN errors IF x = 0]) AS zero
  FROM vectors JOIN best USING (key) WHERE len(errors) > 0)
SELECT run_uuid, generation, unnest(locations), cases, elite, zero FROM counted JOIN keyed USING (key)"""

_QUERIES = {
    "last_generation": _LAST_GENERATION,
    "success_table": _SUCCESS_TABLE,
    "cumulative_success": _CUMULATIVE_SUCCESS,
    "error_curves": _ERROR_CURVES,
    "size_curves": _SIZE_CURVES,
    "ert": _ERT,
    "diversity": _DIVERSITY,
    "age_error": _AGE_ERROR,
    "lexicase_stats": _LEXICASE_STATS,
    "elite_cases": _ELITE_CASES,
    "instruction_frequency": _INSTRUCTION_FREQUENCY,
}

_WINNER = """
SELECT run_uuid, generation, location FROM I
WHERE run_uuid = '{run}' AND generation = (SELECT max(generation) FROM G WHERE run_uuid = '{run}')
  AND NOT isnan(total_error) ORDER BY total_error, location LIMIT 1"""
_LINES = "SELECT generation, location, ids, uuid_text, parent_uuids_text FROM I WHERE run_uuid = '{run}'"


@dataclass(frozen=True, slots=True)
class Files:
    """A connection with views of the lake's files: R, G and I."""

    connection: duckdb.DuckDBPyConnection


def prepare(lake: Path) -> Files:
    """Make the views."""
    lab = gp.open(lake)
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false")
    for view, table in (("R", "runs"), ("G", "generations"), ("I", "individuals")):
        files = ", ".join(f"'{file}'" for file in lab.files(table))
        connection.execute(f"CREATE VIEW {view} AS FROM read_parquet([{files}], hive_partitioning = false)")
    return Files(connection)


def _ask(files: Files, text: str) -> pa.Table:
    return files.connection.sql(text).to_arrow_table()


def _queried(text: str) -> Callable[[Files, str], pa.Table]:
    def answer(files: Files, run: str) -> pa.Table:
        return _ask(files, text)

    return answer


def _best(files: Files, run: str) -> pa.Table:
    return _ask(files, _WINNER.format(run=run))


def _ancestry(files: Files, run: str) -> pa.Table:
    """Walk back from the winner, a generation at a time, over the ids of the run."""
    rows = _ask(files, _LINES.format(run=run)).combine_chunks()
    generation, location = (rows[name].to_numpy() for name in ("generation", "location"))
    child, code, wanted = _coded(rows)
    # A parent's id means its row of the lowest location in the nearest earlier generation.
    width = int(generation.max()) + 1
    key = code * width + generation
    order = np.lexsort((location, key))
    first = order[np.diff(key[order], prepend=-1) != 0]
    known = key[first]
    at = np.searchsorted(known, wanted * width + generation[child]) - 1
    found = (at >= 0) & (known[at] // width == wanted) & (wanted >= 0)
    parent = np.where(found, first[at], -1)
    ((best_generation, best_location),) = _best(files, run).select(["generation", "location"]).to_pandas().to_numpy()
    marked = (generation == best_generation) & (location == best_location)
    by_generation = np.argsort(-generation[child], kind="stable")
    by_generation = by_generation[parent[by_generation] >= 0]
    starts = np.flatnonzero(np.diff(generation[child[by_generation]], prepend=-1))
    for edges in np.split(by_generation, starts[1:]):
        marked[parent[edges[marked[child[edges]]]]] = True
    return pa.table({"generation": generation[marked], "location": location[marked]})


Places = npt.NDArray[np.int64]


def _coded(rows: pa.Table) -> tuple[Places, Places, Places]:
    """Return the row that each edge starts from, a number for the id of each row, and for each edge's parent."""
    ids = pc.coalesce(rows["ids"], _as_ids(rows)).combine_chunks()
    lengths = pc.list_value_length(ids).to_numpy()
    codes = pc.fill_null(ids.flatten().dictionary_encode().indices, -1).to_numpy().astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    is_parent = np.ones(len(codes), bool)
    is_parent[starts] = False
    return np.repeat(np.arange(len(lengths)), lengths - 1), codes[starts], codes[is_parent]


def _as_ids(rows: pa.Table) -> pa.ListArray:
    """Put ids that are no uuids into lists as the others are."""
    own = rows["uuid_text"].to_pylist()
    parents = rows["parent_uuids_text"].to_pylist()
    lists = [None if a is None else [a, *(b or [])] for a, b in zip(own, parents, strict=True)]
    return pa.array(lists, pa.list_(pa.string())).cast(rows["ids"].type)


ANSWERS: dict[str, Callable[[Files, str], pa.Table]] = {
    **{name: _queried(text) for name, text in _QUERIES.items()},
    "winner": _best,
    "ancestry": _ancestry,
}
