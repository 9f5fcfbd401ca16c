"""What a person who knows Spark well would write over the lake's files, for the analyses of gpdata: the yardstick.

`R`, `G` and `I` are views of the files of runs, generations and individuals as they are stored. Each query reads no
column and moves no row that it does not need, and gives the columns that `benchmarks.spark` compares.
"""

from __future__ import annotations

from gpdata.lake.encoding import TYPE_PATTERNS

GROUPS = """grouped AS (SELECT run_uuid, trim(BOTH '"' FROM config['parent-selection']) AS g FROM R)"""
"""The config holds JSON texts."""

# One pass, no window: the fields of the greatest generation of each run.
_LAST = """last AS (SELECT run_uuid, max(generation) AS generation, max_by(outcome, generation) AS outcome,
  max_by(best_test_errors, generation) AS tests FROM G GROUP BY run_uuid)"""

_Z = 1.959963984540054


def wilson(k: str, n: str) -> str:
    """The lower end of Wilson's interval of k successes among n."""
    root = f"sqrt({_Z * _Z} + 4 * {k} * ({n} - {k}) / {n})"
    return f"(2 * {k} + {_Z * _Z} - {_Z} * {root}) / (2 * ({n} + {_Z * _Z}))"


LAST_GENERATION = """
SELECT run_uuid, max(generation) AS generation, max_by(outcome, generation) AS outcome,
  max_by(total_error_min, generation) AS total_error_min FROM G GROUP BY run_uuid"""

SUCCESS_TABLE = f"""
WITH {GROUPS}, {_LAST}, facts AS (
  SELECT g, outcome <> 'continue' AS finished, outcome = 'success' AS success, last.generation, tests
  FROM grouped LEFT JOIN last USING (run_uuid)),
counts AS (
  SELECT g, count(*) AS runs, count_if(finished) AS finished, count_if(success) AS successes,
    IF(count_if(size(tests) > 0) > 0, count_if(success AND size(tests) > 0 AND forall(tests, x -> x = 0)), NULL)
      AS generalising,
    CAST(count_if(success) AS DOUBLE) AS k, CAST(nullif(count_if(finished OR success), 0) AS DOUBLE) AS n,
    min(IF(success, generation, NULL)) AS generations_min,
    percentile(IF(success, generation, NULL), 0.5) AS generations_median,
    max(IF(success, generation, NULL)) AS generations_max
  FROM facts GROUP BY g)
SELECT g, runs, finished, successes, generalising, k / n AS rate, {wilson("k", "n")} AS rate_low,
  1 - {wilson("(n - k)", "n")} AS rate_high, generations_min, generations_median, generations_max
FROM counts ORDER BY g"""

ERROR_CURVES = f"""
WITH {GROUPS}, points AS (
  SELECT g, generation, nanvl(total_error_min, NULL) AS best FROM G JOIN grouped USING (run_uuid))
SELECT g, generation, count(best) AS runs, percentile(best, 0.5) AS best_median, percentile(best, 0.25) AS best_q1,
  percentile(best, 0.75) AS best_q3, mean(best) AS best_mean
FROM points GROUP BY g, generation ORDER BY g, generation"""

CUMULATIVE_SUCCESS = f"""
WITH {GROUPS}, {_LAST}, facts AS (
  SELECT g, run_uuid, IF(outcome = 'success', last.generation, NULL) AS solved_at
  FROM grouped JOIN last USING (run_uuid) WHERE outcome <> 'continue'),
counted AS (SELECT g, count(*) AS runs FROM facts GROUP BY g),
points AS (
  SELECT facts.g, G.generation, count_if(G.generation = solved_at) AS new
  FROM G JOIN facts USING (run_uuid) GROUP BY facts.g, G.generation),
curve AS (
  SELECT points.g, generation, runs, sum(new) OVER (PARTITION BY points.g ORDER BY generation) AS solved
  FROM points JOIN counted ON points.g <=> counted.g)
SELECT g, generation, runs, solved, solved / runs AS probability,
  {wilson("CAST(solved AS DOUBLE)", "runs")} AS probability_low,
  1 - {wilson("CAST(runs - solved AS DOUBLE)", "runs")} AS probability_high
FROM curve ORDER BY g, generation"""

ERT = f"""
WITH {GROUPS}, rows AS (
  SELECT run_uuid, generation, outcome,
    population_size * (generation - coalesce(lag(generation) OVER w, -1)) AS charged FROM G
  WINDOW w AS (PARTITION BY run_uuid ORDER BY generation)),
ends AS (
  SELECT run_uuid, sum(charged) AS spent, max_by(outcome, generation) = 'success' AS reached
  FROM rows GROUP BY run_uuid)
SELECT g, count(*) AS runs, count_if(reached) AS successes, sum(spent) AS evaluations,
  sum(spent) / nullif(count_if(reached), 0) AS ert
FROM ends JOIN grouped USING (run_uuid) GROUP BY g ORDER BY g"""

_SIZES = {
    "genome_size": "nanvl(genome_size_mean, NULL)",
    "program_size": "coalesce(nanvl(program_size_mean, NULL), nanvl(report['mean-program-size'], NULL))",
    "percent_parens": "nanvl(report['mean-program-percent-params'], NULL)",
}
_QUARTILES = ", ".join(
    f"percentile({name}, {share}) AS {name}{at}"
    for name in _SIZES
    for at, share in (("", 0.5), ("_q1", 0.25), ("_q3", 0.75))
)
SIZE_CURVES = f"""
WITH {GROUPS}, points AS (
  SELECT g, generation, {", ".join(f"{how} AS {name}" for name, how in _SIZES.items())}
  FROM G JOIN grouped USING (run_uuid))
SELECT g, generation, count(*) AS runs, {_QUARTILES}
FROM points GROUP BY g, generation ORDER BY g, generation"""

# Over all individuals.
DIVERSITY = """
SELECT run_uuid, generation, count(*) AS population_size, count(DISTINCT errors) / count(*) AS error_vectors,
  count(DISTINCT nanvl(total_error, NULL)) / count(*) AS total_errors,
  nullif(count(DISTINCT program), 0) / count(*) AS programs
FROM I GROUP BY run_uuid, generation ORDER BY run_uuid, generation"""

AGE_ERROR = """
SELECT run_uuid, generation, location, age, total_error,
  coalesce(IF(ids IS NULL, size(parent_uuids_text) = 0, size(ids) = 1), false) AS is_genesis
FROM I WHERE NOT isnan(age) AND NOT isnan(total_error)"""

_LOOKS = " ".join(f"WHEN instruction RLIKE r'{pattern}' THEN '{name}'" for name, pattern in TYPE_PATTERNS)
# Types that follow from how an instruction is written are not stored: they are worked out once counted.
INSTRUCTION_FREQUENCY = f"""
WITH {GROUPS}, genes AS (
  SELECT run_uuid, instruction, get(gene_type, position) AS type
  FROM I LATERAL VIEW posexplode(gene_instruction) AS position, instruction),
stored AS (SELECT run_uuid, instruction, type, count(*) AS n FROM genes GROUP BY run_uuid, instruction, type),
counts AS (
  SELECT run_uuid, instruction, coalesce(type, CASE {_LOOKS} ELSE 'string' END) AS type, sum(n) AS n
  FROM stored GROUP BY ALL)
SELECT g, instruction, type, sum(n) AS genes, sum(n) / sum(sum(n)) OVER (PARTITION BY g) AS share, count(*) AS runs
FROM counts JOIN grouped USING (run_uuid) GROUP BY g, instruction, type
ORDER BY g, genes DESC, instruction, type"""

_NUMBERS = """numbers AS (
  SELECT run_uuid, generation, location, posexplode(errors) AS (`case`, value) FROM I),
alike AS (
  SELECT run_uuid, generation, `case`, nanvl(value, NULL) AS error, count(*) AS n FROM numbers
  GROUP BY run_uuid, generation, `case`, nanvl(value, NULL))"""

LEXICASE_STATS = f"""
WITH {_NUMBERS}
SELECT run_uuid, generation, `case`, sum(IF(error IS NULL, 0, n)) AS individuals, min(error) AS least_error,
  coalesce(min_by(n, error), 0) AS elite, sum(IF(error = 0, n, 0)) AS zero
FROM alike GROUP BY run_uuid, generation, `case` ORDER BY run_uuid, generation, `case`"""

ELITE_CASES = """
WITH least AS (
  SELECT run_uuid, generation, `case`, min(nanvl(value, NULL)) AS least
  FROM (SELECT run_uuid, generation, posexplode(errors) AS (`case`, value) FROM I)
  GROUP BY run_uuid, generation, `case`),
vectors AS (
  SELECT run_uuid, generation, transform(array_sort(collect_list(struct(`case`, least))), x -> x.least) AS least
  FROM least GROUP BY run_uuid, generation)
SELECT run_uuid, generation, location,
  size(filter(errors, x -> NOT isnan(x))) AS cases,
  size(filter(zip_with(errors, least, (x, y) -> x = y AND NOT isnan(x)), x -> x)) AS elite_cases,
  size(filter(errors, x -> x = 0)) AS zero_cases
FROM I JOIN vectors USING (run_uuid, generation) WHERE size(errors) > 0
ORDER BY run_uuid, generation, location"""


def winner(run: str) -> str:
    """The best of the last generation of a run."""
    return f"""
SELECT run_uuid, generation, location FROM I
WHERE run_uuid = '{run}' AND generation = (SELECT max(generation) FROM G WHERE run_uuid = '{run}')
  AND NOT isnan(total_error) ORDER BY total_error, location LIMIT 1"""


def lines(run: str) -> str:
    """What the walk from a winner to its ancestors needs of a run."""
    return f"""
SELECT generation, location, IF(ids IS NULL, uuid_text, lower(hex(ids[0]))) AS uuid,
  IF(ids IS NULL, parent_uuids_text, transform(slice(ids, 2, size(ids)), x -> lower(hex(x)))) AS parents
FROM I WHERE run_uuid = '{run}'"""
