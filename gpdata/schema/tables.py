"""The canonical schema: the one place where gpdata's tables are declared.

Arrow, Spark, JSON Schema and the documentation page are projections of what stands here.
"""

from __future__ import annotations

from gpdata.schema.declaration import Column, Table, Type

SCHEMA_VERSION = 1
"""Raised by a migration; a lake of a greater version is refused with `LakeTooNew`."""

OUTCOMES = ("continue", "success", "failure")

_NOT_SENT = "the producer did not send it"

_RUN = Column("run_uuid", Type.STRING, "the run", "config-uuid")
_GENERATION = Column("generation", Type.INT, "the generation, from 0", "index")
_LOCATION = Column("location", Type.INT, "position in the population array, from 0", "index in population[]")

RUNS = Table(
    "runs",
    "one row per run",
    ("run_uuid",),
    (
        _RUN,
        Column("system", Type.STRING, "the GP system: clojush, deap, ...", "config.system; clojush where absent"),
        Column("problem", Type.STRING, "the problem that was run", "config.problem-file, else config.problem", _NOT_SENT),
        Column("label", Type.STRING, "the researcher's label", "config.argmap.label, else config.label", "no label"),
        Column("owner", Type.STRING, "who uploaded the run", "the account of the upload", "recorded without accounts"),
        Column("source", Type.STRING, "the way in: import, recorder, upload, plain", "the channel", _NOT_SENT),
        Column("started_at", Type.TIMESTAMP, "when the run started", "config.start-time", _NOT_SENT, "UTC"),
        Column("version", Type.STRING, "version of the GP system", "config.version-number", _NOT_SENT),
        Column("git_hash", Type.STRING, "commit of the GP system", "config.git-hash", _NOT_SENT),
        Column("command", Type.STRING, "command line of the run", "config.command", _NOT_SENT),
        Column("config", Type.STRING_MAP, "every argument as canonical JSON text", "config.argmap"),
        Column(
            "config_id",
            Type.STRING,
            "hash of the scientific configuration (system, problem, arguments without seed, run uuid, label, "
            "record host, log file names, drawn training cases and JVM object addresses): replicates share it",
            "computed",
        ),
        Column("flags", Type.STRINGS, "what a reader should know of the run: the flags of its generations",
               "generations.flags; computed when the lake is opened"),
        Column("extra", Type.STRING, "JSON text of every other field of config", "config", "there is none"),
    ),
    ("every run has at least one generation",),
)  # fmt: skip

_ERRORS_STAT = "over the individuals whose total_error is a number; computed at ingest"
_NO_ERRORS = "no individual has a total_error that is a number"


def _stat(name: str, type_: Type, meaning: str, null: str | None, unit: str | None = None) -> Column:
    return Column(name, type_, meaning, "computed from the population at ingest", null, unit)


def _five(of: str, what: str, null: str, unit: str) -> tuple[Column, ...]:
    return tuple(
        _stat(f"{of}_{stat}", Type.DOUBLE, f"{stat} of {what} over the population", null, unit)
        for stat in ("min", "median", "mean", "max")
    )


GENERATIONS = Table(
    "generations",
    "one row per run and generation",
    ("run_uuid", "generation"),
    (
        _RUN,
        _GENERATION,
        Column("outcome", Type.STRING, "the sender's word: continue, success or failure", "outcome"),
        Column("started_at", Type.TIMESTAMP, "the line's own start time", "start-time", _NOT_SENT, "UTC"),
        Column("received_at", Type.TIMESTAMP, "when gpdata took the line in", "the receiver's clock",
               "imported from a file", "UTC"),
        Column("population_size", Type.INT, "number of individuals", "length of population[]"),
        Column("line_sha256", Type.STRING, "SHA-256 of the raw line without its newline, in hex: judges duplicates",
               "the bytes of the line"),
        Column("best_uuid", Type.STRING, "the individual that the sender calls best", "best.individual.uuid", _NOT_SENT),
        Column("best_location", Type.INT, "lowest location of best_uuid in the population", "computed",
               "not sent, or not in the population"),
        Column("best_total_error", Type.DOUBLE, "total error of best", "best.individual.total-error", _NOT_SENT, "error"),
        Column("best_errors", Type.DOUBLES, "best's error on each training case", "best.individual.errors", _NOT_SENT,
               "error"),
        Column("best_test_errors", Type.DOUBLES, "best's error on each unseen test case", "best.individual.test-errors",
               "no test set, or not sent", "error"),
        Column("best_mean_error", Type.DOUBLE, "mean error of best over the cases", "best.mean-error", _NOT_SENT, "error"),
        Column("best_genome_size", Type.INT, "genome size of best", "best.genome-size", _NOT_SENT, "genes"),
        Column("best_program_size", Type.INT, "program size of best", "best.program-size", _NOT_SENT, "points"),
        Column("best_percent_parens", Type.DOUBLE, "parentheses / program size of best", "best.percent-parens", _NOT_SENT,
               "fraction"),
        Column("best_program", Type.STRING, "program of best: text as sent, other JSON as JSON text",
               "best.individual.program", _NOT_SENT),
        Column("best_simplified_program", Type.STRING, "program of the simplified best, as best_program",
               "best.individual-simplified.program", _NOT_SENT),
        Column("best_simplified_total_error", Type.DOUBLE, "total error of the simplified best",
               "best.individual-simplified.total-error", _NOT_SENT, "error"),
        Column("best_simplified_test_errors", Type.DOUBLES, "the simplified best's error on each unseen test case",
               "best.individual-simplified.test-errors", "no test set, or not sent", "error"),
        Column("report", Type.DOUBLE_MAP, "the sender's own statistics, names as sent", "population-report", _NOT_SENT),
        _stat("total_error_min", Type.DOUBLE, f"least total error, {_ERRORS_STAT}", _NO_ERRORS, "error"),
        _stat("total_error_q1", Type.DOUBLE, "first quartile of total error (linear interpolation)", _NO_ERRORS, "error"),
        _stat("total_error_median", Type.DOUBLE, "median of total error", _NO_ERRORS, "error"),
        _stat("total_error_q3", Type.DOUBLE, "third quartile of total error (linear interpolation)", _NO_ERRORS, "error"),
        _stat("total_error_max", Type.DOUBLE, "greatest total error", _NO_ERRORS, "error"),
        _stat("total_error_mean", Type.DOUBLE, "mean of total error", _NO_ERRORS, "error"),
        Column("best_so_far", Type.DOUBLE, "least total_error_min of this and all earlier stored generations of the run",
               "computed when the lake is opened", "no earlier individual has a total_error", "error"),
        _stat("distinct_error_vectors", Type.INT, "number of different error vectors", "no individual has errors"),
        _stat("distinct_total_errors", Type.INT, "number of different total errors", _NO_ERRORS),
        _stat("distinct_genomes", Type.INT, "number of different genomes, gene uuids included", "no genome was sent"),
        _stat("distinct_programs", Type.INT, "number of different programs", "no program was sent"),
        _stat("distinct_behaviors", Type.INT, "number of different behavior vectors", "no behavior was sent"),
        *_five("genome_size", "genome size", "no genome was sent", "genes"),
        *_five("program_size", "program size", "no program size is known", "points"),
        *_five("age", "age", "no age was sent", "generations"),
        Column("flags", Type.STRINGS, "what a reader should know of this line: auth=none (came by plain TCP), config_differs, value_in_extra, ...",
               "computed at ingest"),
        Column("extra", Type.STRING, "JSON text of every field of the line, of best and of the report that no column holds",
               "the line", "there is none"),
    ),
    ("population_size equals the number of its rows in individuals", "total_error_min <= q1 <= median <= q3 <= max"),
)  # fmt: skip

INDIVIDUALS = Table(
    "individuals",
    "one row per run, generation and location",
    ("run_uuid", "generation", "location"),
    (
        _RUN,
        _GENERATION,
        _LOCATION,
        Column("uuid", Type.STRING, "the sender's uuid of the individual; NOT unique: reproduction keeps it",
               "population[].uuid", _NOT_SENT),
        Column("parent_uuids", Type.STRINGS, "uuids of the parents, a multiset in the sender's order; [] after genesis",
               "population[].parent-uuids", "random individual (also mid-run replacements)"),
        Column("genetic_operators", Type.STRINGS, "operators that made the individual, in order",
               "population[].genetic-operators (a string becomes a list of one)", _NOT_SENT),
        Column("total_error", Type.DOUBLE, "total error", "population[].total-error", "not evaluated or not sent", "error"),
        Column("errors", Type.DOUBLES, "error on each training case", "population[].errors", "not evaluated or not sent",
               "error"),
        Column("test_errors", Type.DOUBLES, "error on each unseen test case", "population[].test-errors", _NOT_SENT,
               "error"),
        Column("normalized_error", Type.DOUBLE, "normalized error", "population[].normalized-error", _NOT_SENT, "error"),
        Column("weighted_error", Type.DOUBLE, "weighted error", "population[].weighted-error", _NOT_SENT, "error"),
        Column("meta_errors", Type.DOUBLES, "error on each meta case", "population[].meta-errors", _NOT_SENT, "error"),
        Column("novelty", Type.DOUBLE, "novelty score", "population[].novelty", _NOT_SENT),
        Column("behaviors", Type.STRINGS, "behavior on each case, each as JSON text", "population[].behaviors", _NOT_SENT),
        Column("age", Type.DOUBLE, "age; may be fractional", "population[].age", _NOT_SENT, "generations"),
        Column("grain_size", Type.DOUBLE, "grain size", "population[].grain-size", _NOT_SENT),
        Column("is_random_replacement", Type.BOOL, "whether a random individual replaced the child",
               "population[].is-random-replacement", _NOT_SENT),
        Column("genome_size", Type.INT, "number of genes", "length of population[].genome, else population[].genome-size",
               "no genome was sent", "genes"),
        Column("program_size", Type.INT, "program size", "population[].program-size", _NOT_SENT, "points"),
        Column("program", Type.STRING, "the program: text as sent, other JSON as JSON text", "population[].program",
               _NOT_SENT),
        Column("gene_instruction", Type.STRINGS, "the genome's instructions: text as sent, other JSON as JSON text",
               "population[].genome[].instruction, or the bare element", "no genome was sent"),
        Column("gene_type", Type.STRINGS, "JSON type of each instruction: string, int, float, bool, null, json",
               "population[].genome[]", "no genome was sent"),
        Column("gene_close", Type.INTS, "parentheses closed after each gene", "population[].genome[].close",
               "list: no gene has it; element: this gene has not"),
        Column("gene_silent", Type.BOOLS, "whether each gene is silent", "population[].genome[].silent",
               "list: no gene has it; element: this gene has not"),
        Column("gene_uuid", Type.STRINGS, "uuid of each gene", "population[].genome[].uuid",
               "list: no gene has it; element: this gene has not"),
        Column("gene_parent_uuid", Type.STRINGS, "uuid of the gene that each gene was copied from",
               "population[].genome[].parent-uuid", "list: no gene has it; element: a new gene"),
        Column("gene_random_insertion", Type.BOOLS, "whether each gene was inserted at random",
               "population[].genome[].random-insertion", "list: no gene has it; element: this gene has not"),
        Column("extra", Type.STRING,
               "JSON text of every field that no column holds, and of every value that did not fit its column",
               "population[]", "there is none"),
    ),
    ("locations of a generation are 0 .. population_size - 1", "all gene_* lists of a row are null or equally long"),
)  # fmt: skip

ERRORS = Table(
    "errors",
    "view: one row per individual and training case",
    ("run_uuid", "generation", "location", "case"),
    (
        _RUN,
        _GENERATION,
        _LOCATION,
        Column("case", Type.INT, "index of the training case, from 0", "position in errors"),
        Column("error", Type.DOUBLE, "error on that case", "individuals.errors", "not a number", "error"),
    ),
)

GENES = Table(
    "genes",
    "view: one row per individual and gene",
    ("run_uuid", "generation", "location", "position"),
    (
        _RUN,
        _GENERATION,
        _LOCATION,
        Column("position", Type.INT, "index of the gene, from 0", "position in the genome"),
        Column("instruction", Type.STRING, "text as sent, other JSON as JSON text", "individuals.gene_instruction"),
        Column("type", Type.STRING, "JSON type of the instruction", "individuals.gene_type"),
        Column("close", Type.INT, "parentheses closed after it", "individuals.gene_close", _NOT_SENT),
        Column("silent", Type.BOOL, "whether it is silent", "individuals.gene_silent", _NOT_SENT),
        Column("uuid", Type.STRING, "uuid of the gene", "individuals.gene_uuid", _NOT_SENT),
        Column("parent_uuid", Type.STRING, "uuid of the gene it was copied from", "individuals.gene_parent_uuid",
               "a new gene, or not sent"),
        Column("random_insertion", Type.BOOL, "whether it was inserted at random", "individuals.gene_random_insertion",
               _NOT_SENT),
    ),
)  # fmt: skip

STORED = (RUNS, GENERATIONS, INDIVIDUALS)
"""The tables that a lake stores; the other two are views of individuals."""

TABLES = (*STORED, ERRORS, GENES)
