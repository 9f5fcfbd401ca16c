"""`gpdata command`: what would run a run again, as far as it was recorded."""

from __future__ import annotations

import base64
import binascii
import json
import re
import shlex
from typing import Any

import click

from gpdata.cli.options import chosen_lake, lake_option
from gpdata.convert import to_arrow
from gpdata.lab import open as open_lab

_SEEDS = ("random-seed", "seed", "random_seed")
_PLACE = frozenset({"run-uuid", "config-uuid", "record-host"})
"""Arguments of where and as what that run was recorded; a run of its own has its own."""
_PROBLEM = frozenset({"training-cases", "sub-training-cases", "atom-generators"})
"""Arguments that the problem's file makes: their JSON cannot be told from code."""
_TEXTS = re.compile(r"label|.*-log-filename")
"""Arguments of Clojush that are texts; every other text was a keyword."""
_OBJECT = re.compile(r"@[0-9a-f]{1,8}\b|#object\[")
"""A function or another object of the JVM, written with its address."""


@click.command()
@click.argument("run")
@lake_option
def command(run: str, lake: str) -> None:
    """Print what would do RUN again: version, commit, seed and command line, as far as they were recorded.

    Lines that begin with # say what is known and what is missing; the others can be pasted into a shell.
    """
    lab = open_lab(chosen_lake(lake), runs=run)
    for line in lines(to_arrow(lab.runs).to_pylist()[0]):
        click.echo(line)


def lines(row: dict[str, Any]) -> list[str]:
    r"""Return what is printed for a row of runs.

    Examples
    --------
    >>> row = {"run_uuid": "a", "system": "mine", "problem": "odd", "version": None, "git_hash": None}
    >>> row |= {"command": "python odd.py --seed 3", "started_at": None, "config": [("seed", "3")]}
    >>> print(*lines(row), sep="\n")
    # run a of mine, problem odd
    # seed: 3
    # not recorded: version, commit
    python odd.py --seed 3
    """
    config = {key: json.loads(text) for key, text in row["config"] if text is not None}
    seeds = {key: config[key] for key in _SEEDS if config.get(key) is not None}
    facts = {"version": row["version"], "commit": row["git_hash"], "seed": ", ".join(map(_text, seeds.values()))}
    started = f", started {row['started_at']:%Y-%m-%d %H:%M:%S} UTC" if row["started_at"] else ""
    found = [f"# run {row['run_uuid']} of {row['system']}, problem {row['problem'] or '(not recorded)'}{started}"]
    found += [f"# {name}: {_one_line(value)}" for name, value in facts.items() if value]
    missing = [name for name, value in facts.items() if not value]
    commands: list[str] = []
    if row["command"]:
        commands = [row["command"]]
    elif row["system"] == "clojush" and row["problem"]:
        line, left = clojush_line(row["problem"], config)
        found.append("# The command line was not recorded: this one is made of the arguments that were.")
        found += [f"# left out, {why}: {', '.join(names)}" for why, names in left.items() if names]
        commands = [f"git checkout {shlex.quote(row['git_hash'])}"] if row["git_hash"] else []
        commands.append(line)
    else:
        missing.append("command line")
        found += [f"# {key} = {_one_line(_text(value))}" for key, value in sorted(config.items())]
    if missing:
        found.append(f"# not recorded: {', '.join(missing)}")
    return [*found, *commands]


def clojush_line(problem: str, config: dict[str, Any]) -> tuple[str, dict[str, list[str]]]:
    """Write the command line of a Clojush run, and name the arguments that are not in it, by reason.

    Examples
    --------
    >>> config = {"parent-selection": "lexicase", "error-function": "odd$fn__79@4a93", "run-uuid": "a", "label": "x"}
    >>> line, left = clojush_line("clojush.problems.demos.odd", config)
    >>> print(line)
    lein run clojush.problems.demos.odd :label '"x"' :parent-selection :lexicase
    """
    left: dict[str, list[str]] = {"of that recording": [], "made by the problem's file": [], "functions": []}
    words = ["lein", "run", problem]
    for key, value in sorted(config.items()):
        if key in _PLACE:
            left["of that recording"].append(key)
        elif key in _PROBLEM:
            left["made by the problem's file"].append(key)
        elif _OBJECT.search(json.dumps(value)):
            left["functions"].append(key)
        else:
            words += [f":{key}", _argument(key, value)]
    return shlex.join(words), left


def _argument(key: str, value: Any) -> str:
    """Write an argument as Clojure reads it."""
    if key == "random-seed" and isinstance(value, str):
        try:
            seed = base64.b64decode(value, validate=True)
        except binascii.Error:
            return json.dumps(value)
        return f"#=(byte-array [{' '.join(str(byte - 256 if byte > 127 else byte) for byte in seed)}])"
    return json.dumps(value) if isinstance(value, str) and _TEXTS.fullmatch(key) else _clojure(value)


def _clojure(value: Any) -> str:
    """Write a value of the arguments as Clojure: texts were keywords, and keys of a map too, if they are no vectors.

    Examples
    --------
    >>> _clojure({"alternation": 0.7, "[:alternation :uniform-mutation]": 0.3, "x": [None, True, "a"]})
    '{:alternation 0.7, [:alternation :uniform-mutation] 0.3, :x [nil true :a]}'
    """
    if isinstance(value, dict):
        pairs = (f"{key if key.startswith('[') else f':{key}'} {_clojure(inner)}" for key, inner in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{' '.join(map(_clojure, value))}]"
    if isinstance(value, str):
        return f":{value}" if re.fullmatch(r"[^\s\[\](){}\"';`,@^~\\:/]+", value) else json.dumps(value)
    return "nil" if value is None else json.dumps(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
