"""Recorder lines made at random, right and odd, as JSON text: every spelling that a client may choose."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

Maker = Callable[[Random], str]

NUMBERS = [
    *[
        "0",
        "-0",
        "1",
        "-1",
        "3",
        "12",
        "2.5",
        "-0.0",
        "1e3",
        "1.0E101",
        "1e999",
        "-1e999",
        "1e-400",
        "1.0",
        "1.5e308",
        "0.1234567890123456789012345",
    ],
    *["9007199254740992", "9007199254740993", "-9007199254740993", "10000000000000000000", "2147483647", "2147483648"],
    *("-2147483649", "123456789012345678901234567890", "1" * 400, "7" * 5000),
]
STRINGS = [
    *('"a"', '"in1"', '""', '":"', '" :"', '"a\\": b"', '"\\\\"', '"\\/"', '"\\n"', '"[1,{]"', '"null"', '"é😀"'),
    *('"\\u0041"', '"\\u0000"', '"\\ud800"', '"x\\udc00y"', '"\\ud83d\\ude00"', '"NaN"', '"Infinity"', '"-0"'),
    *('"clos\\u0065"', '"a, NaN, b"', '"\\"close\\":1"', '"exec_do*range"', '"two words"', '"\u2028\x7f"'),
]
WORDS = ["true", "false", "null", "NaN", "Infinity", "-Infinity"]
SPACES = [(",", ":"), (",", ":"), (", ", ": "), (" ,", " :"), ("\t, ", " \t: ")]


def number(chance: Random) -> str:
    return chance.choice(NUMBERS) if chance.random() < 0.4 else str(chance.randrange(20))


def string(chance: Random) -> str:
    return chance.choice(STRINGS)


def word(chance: Random) -> str:
    return chance.choice(WORDS)


def one_of(*makers: Maker | str) -> Maker:
    def make(chance: Random) -> str:
        maker = chance.choice(makers)
        return maker if isinstance(maker, str) else maker(chance)

    return make


def array(item: Maker, least: int = 0) -> Maker:
    def make(chance: Random) -> str:
        comma, _ = chance.choice(SPACES)
        return f"[{comma.join(item(chance) for _ in range(chance.randrange(least, 5)))}]"

    return make


def anything(chance: Random, depth: int = 2) -> str:
    kind = chance.randrange(5 if depth else 3)
    if kind < 3:
        return (number, string, word)[kind](chance)
    inner = lambda chance: anything(chance, depth - 1)  # noqa: E731 - a maker
    return array(inner)(chance) if kind == 3 else obj({"a": inner, "b": inner, ":": inner})(chance)


UNKNOWN = ['"luck"', '"\\u0061ge"', '"ü"', '"uu\\u0069d"', '"clos\\u0065"', '" :"']


def obj(fields: dict[str, Maker], *, required: tuple[str, ...] = (), known: float = 0.8) -> Maker:
    """Make objects of the required fields, some of the others, unknown ones, and now and then a key twice."""

    def make(chance: Random) -> str:
        comma, colon = chance.choice(SPACES)
        pairs = [(json.dumps(name), fields[name](chance)) for name in required]
        others = [name for name in fields if name not in required]
        for name in chance.sample(others, chance.randrange(len(others) + 1)):
            pairs.append((json.dumps(name), fields[name](chance) if chance.random() < 0.9 else anything(chance)))
        if chance.random() > known:
            pairs.append((chance.choice(UNKNOWN), anything(chance)))
        if pairs and chance.random() > known:
            key = chance.choice(pairs)[0]
            if json.loads(key) not in required:
                pairs.append((key, anything(chance)))
        chance.shuffle(pairs)
        return "{" + comma.join(f"{key}{colon}{value}" for key, value in pairs) + "}"

    return make


boolean = one_of("true", "false")
gene = obj(
    {
        "instruction": one_of(string, number, word),
        "close": one_of("0", "3", "12"),
        "silent": boolean,
        "uuid": string,
        "parent-uuid": one_of(string, "null"),
        "random-insertion": boolean,
    }
)
plain_gene = obj({"close": one_of("0", "3"), "instruction": one_of(string, number)}, known=1.0)
individual = obj(
    {
        "uuid": one_of('"u1"', '"u2"', '"u3"'),
        "parent-uuids": one_of(array(string), "null"),
        "genetic-operators": one_of(string, array(string)),
        "total-error": one_of(number, word, '"NaN"'),
        "errors": array(one_of(number, '"Infinity"', "NaN")),
        "test-errors": array(number),
        "normalized-error": number,
        "novelty": number,
        "meta-errors": array(number),
        "behaviors": one_of(array(one_of(string, number, word)), array(anything)),
        "age": number,
        "is-random-replacement": boolean,
        "genome-size": one_of("0", "2", "3"),
        "program-size": number,
        "program": one_of(string, anything),
        "genome": one_of(
            array(plain_gene), array(gene), array(one_of(string, number)), array(one_of(gene, anything)), "null"
        ),
        "history": one_of("[]", "null", "[ ]", "[[1]]"),
        "parent1-genome": array(plain_gene),
    }
)
best = obj(
    {
        "individual": individual,
        "individual-simplified": individual,
        "mean-error": number,
        "genome-size": one_of("0", "3"),
        "percent-parens": number,
    }
)
config = obj(
    {
        "system": one_of('"deap"'),
        "problem": string,
        "problem-file": string,
        "start-time": number,
        "argmap": obj({"label": string, "population-size": number, "f": one_of('"n$f__1@a1"'), "ü": anything}),
    }
)
line = obj(
    {
        "config-uuid": one_of('"run-1"'),
        "index": one_of("0", "7", "2147483647"),
        "outcome": one_of('"continue"', '"success"', '"failure"'),
        "population": array(individual, least=1),
        "best": best,
        "config": config,
        "start-time": one_of(number, "1700000000", "1700000000.25"),
        "population-report": obj({"mean-age": number, "max-age": number}),
    },
    required=("config-uuid", "index", "outcome", "population"),
)
"""Make one line."""
