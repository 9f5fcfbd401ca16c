"""The malformed corpus: lines from the corners of JSON's grammar, and bodies that are not what they say."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass

from gpdata.spool import zstd
from gpdata.wire import Rejection, identify
from tests.support import line
from tests.wire.test_line import CORPUS, INDEX

LINE_BYTES = 3 << 20
"""The longest line that the tests allow."""


@dataclass(frozen=True)
class Odd:
    """A line, whether it makes rows, and texts that these rows must hold."""

    name: str
    line: bytes
    rows: bool
    kept: tuple[str, ...] = ()


def _line(name: str, population: str = "[{}]", rest: str = "", uuid: str | None = None) -> bytes:
    run = json.dumps(f"odd {name}") if uuid is None else uuid
    return f'{{"config-uuid":{run},"index":0,"outcome":"continue","population":{population}{rest}}}'.encode()


def _value(name: str, text: str, *kept: str) -> Odd:
    return Odd(name, _line(name, f'[{{"total-error":{text},"luck":{text}}}]'), True, kept or (text,))


def _own() -> list[Odd]:
    padded = _line("of the greatest length")
    digits = "7" * 5000
    utf8 = {"overlong": b"\xc0\xaf", "surrogate": b"\xed\xa0\x80", "cut": b"\xe2\x82", "alone": b"\xff"}
    uuids = {
        "of a path": ("../../escaped", True),
        "of a Windows path": (r"..\\..\\escaped", True),
        "of an absolute path": ("/tmp/escaped-by-gpdata", True),
        "of a drive": ("C:escaped", True),
        "of a format": ("{0}%s$(escaped)`escaped`", True),
        "with NUL": (r"a\u0000escaped", False),
        "with a newline": (r"a\nescaped", False),
        "with a terminal's commands": (r"\u001b[2Jescaped", False),
        "of a lone surrogate": (r"\ud800escaped", False),
        "without end": ("x" * 5_000, False),
    }
    return [
        _value("integer of 5,000 digits", digits),
        _value("negative integer of 5,000 digits", f"-{digits}"),
        _value("number beyond double", "1e999"),
        _value("number below double", "1e-999"),
        _value("number of many zeros", "0." + "0" * 3_000 + "1"),
        _value("exponent of many digits", "1e" + "9" * 3_000),
        _value("NaN", "NaN"),
        _value("-Infinity", "-Infinity"),
        _value("lone surrogate", r'"\ud800"'),
        _value("reversed surrogates", r'"\udc00\ud800"'),
        _value("string of 1 MB", f'"{"s" * 1_000_000}"'),
        _value("nesting as deep as it may be", "[" * 900 + "]" * 900),
        Odd("equal keys", _line("equal keys", '[{"luck":1,"luck":2,"luck":3.10}]'), True, ("[1,2,3.10]",)),
        Odd("20,000 keys", _line("20,000 keys", "[{" + ",".join(f'"k{n}":{n}' for n in range(20_000)) + "}]"), True),
        Odd("20,000 individuals", _line("20,000 individuals", "[" + "{}," * 19_999 + "{}]"), True),
        Odd("2 million brackets", b"[" * 2_000_000, False),
        Odd("half a million objects", b'{"a":' * 500_000, False),
        Odd("nesting too deep", _line("nesting too deep", "[" * 5_000 + "]" * 5_000), False),
        Odd("a long line that breaks off", b'{"x":[' + b"1," * 1_000_000, False),
        Odd("a short line that breaks off", _line("a short line that breaks off")[:-1], False),
        Odd("a long string that breaks off", b'{"x":"' + b"x" * 2_000_000, False),
        Odd("quotes without end", b'{"x":"' + b'\\"' * 1_000_000, False),
        Odd("NUL bytes", b"\0" * 10_000, False),
        Odd("a bare NUL in a string", _line("a bare NUL in a string").replace(b"odd", b"o\0d"), False),
        Odd("UTF-16", _line("UTF-16").decode().encode("utf-16").replace(b"\n", b" "), False),
        Odd("two lines in one", _line("first") + _line("second"), False),
        Odd("a negative index", _line("a negative index").replace(b":0,", b":-1,"), False),
        Odd("an index with an exponent", _line("an index with an exponent").replace(b":0,", b":1e0,"), False),
        Odd("an index too large", _line("an index too large").replace(b":0,", b":2147483648,"), False),
        Odd("of the greatest length", padded[:-1] + b" " * (LINE_BYTES - len(padded)) + b"}", True),
        *(Odd(f"UTF-8 {name}", _line(name).replace(b"odd", b"o" + bad + b"d"), False) for name, bad in utf8.items()),
        *(Odd(f"uuid {name}", _line(name, uuid=f'"{uuid}"'), rows) for name, (uuid, rows) in uuids.items()),
    ]


def lines(every: int = 1) -> list[Odd]:
    """Return lines of all kinds, no key twice: our own, and every n-th one of the wire's corpus."""
    found = _own()
    keys = {key for odd in found if not isinstance(key := identify(odd.line), Rejection)}
    for name, expected in INDEX.items():
        for place, raw in enumerate((CORPUS / name).read_bytes().removesuffix(b"\n").split(b"\n"), start=1):
            text = raw.replace(b'"config-uuid":"r"', b'"config-uuid":"%s:%d"' % (name.encode(), place))
            key = identify(text)
            if (
                place % every
                or not text.strip()
                or text.endswith(b"\r")
                or (expected.get("code") is None and key in keys)
            ):
                continue  # blank, its end changed by any transport, or a second line of its key
            found.append(Odd(f"{name}:{place}", text, "code" not in expected))
            if not isinstance(key, Rejection):
                keys.add(key)
    return found


def good(number: int) -> bytes:
    """Return a line that is right, to stand behind an odd one."""
    return line("good", number, size=1)


def bodies() -> list[tuple[str, str, bytes, set[int]]]:
    """Return bodies of uploads: a name, the Content-Encoding, the bytes, and what may be answered."""
    one = line("body", 0)
    packed_gzip, packed_zstd = gzip.compress(one), zstd.compress(one)
    wrong_sum = packed_zstd and zstd.compress(one, options=zstd.CHECKED)
    zeros, blanks, newlines = bytes(1 << 20), b" " * (1 << 20), b"\n" * (1 << 20)
    spaced = [one[:-1], *[blanks] * 200, b"}"]
    return [
        ("zstd bomb of zeros", "zstd", _zstd([zeros] * 200), {413, 422}),
        ("gzip bomb of zeros", "gzip", _gzip([zeros] * 200), {413, 422}),
        ("zstd bomb of newlines", "zstd", _zstd([newlines] * 200), {413}),
        ("gzip bomb of newlines", "gzip", _gzip([newlines] * 200), {413}),
        ("zstd bomb inside a good line", "zstd", _zstd(spaced), {413}),
        ("gzip bomb inside a good line", "gzip", _gzip(spaced), {413}),
        ("a bomb in a bomb", "zstd", zstd.compress(_zstd([zeros] * 200)), {422}),
        ("100,000 empty gzip members", "gzip", gzip.compress(b"") * 50_000, {200}),
        ("empty zstd frames", "zstd", zstd.compress(b"") * 20_000, {200}),
        ("skippable frames only", "zstd", b"\x50\x2a\x4d\x18\x00\x00\x00\x00" * 1_000, {200}),
        ("a skippable frame without end", "zstd", b"\x50\x2a\x4d\x18\xff\xff\xff\xff" + zeros, {400}),
        ("zstd window of 128 MiB", "zstd", _zstd([one], window_log=27), {400}),
        ("zstd window of 2 GiB", "zstd", b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + packed_zstd[6:], {400}),
        ("zstd single segment of 16 EiB", "zstd", b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8 + packed_zstd[6:], {400}),
        ("zstd that says gzip", "gzip", packed_zstd, {400}),
        ("gzip that says zstd", "zstd", packed_gzip, {400}),
        ("text that says gzip", "gzip", one, {400}),
        ("text that says zstd", "zstd", one, {400}),
        ("gzip that says nothing", "identity", packed_gzip.replace(b"\n", b""), {422}),
        ("raw deflate", "gzip", zlib.compress(one), {400}),
        ("half a gzip member", "gzip", packed_gzip[: len(packed_gzip) // 2], {400}),
        ("half a zstd frame", "zstd", packed_zstd[: len(packed_zstd) // 2], {400}),
        ("a whole zstd frame and a half", "zstd", packed_zstd + packed_zstd[:9], {400}),
        ("a whole gzip member and rubbish", "gzip", packed_gzip + b"rubbish, rubbish", {400}),
        ("gzip with a wrong sum", "gzip", packed_gzip[:-8] + bytes(8), {400}),
        ("zstd with a wrong sum", "zstd", wrong_sum[:-4] + bytes(4), {400}),
        ("two encodings", "gzip, zstd", packed_gzip, {415}),
        ("an encoding nobody knows", "br", one, {415}),
        ("an encoding of control characters", "gzip\x01", one, {400, 415}),
    ]


def _zstd(pieces: list[bytes], window_log: int = 18) -> bytes:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
    return b"".join([*(packer.compress(piece) for piece in pieces), packer.flush()])


def _gzip(pieces: list[bytes]) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return b"".join([*(packer.compress(piece) for piece in pieces), packer.flush()])
