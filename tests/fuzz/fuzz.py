"""Coverage-guided fuzzing of the wire: ``python -m tests.fuzz.fuzz TARGET [libFuzzer options]``; see `make fuzz`.

What it finds is written to ``.fuzz/found/TARGET/crash-...``; `tests/fuzz/found/TARGET` keeps such inputs as
cases for `make test`.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WIRE_CORPUS = HERE.parent / "wire" / "corpus"


def seeds(target: str) -> list[bytes]:
    """Return inputs to begin with: the lines of the wire's corpus, as the target takes them."""
    from gpdata.spool import zstd

    lines = [line for path in sorted(WIRE_CORPUS.glob("*.jsonl")) for line in path.read_bytes().split(b"\n") if line]
    if target == "read":
        return lines
    if target == "made":
        chance = random.Random(1)
        return [chance.randbytes(200) for _ in range(40)]
    if target == "body":
        import gzip

        packed = [gzip.compress(b"\n".join(lines[:9])), zstd.compress(b"\n".join(lines[:9]))]
        return [b"\x02\x05\x00\x40\x00" + body for one in packed for body in (one, one + one, one[:-3])]
    groups = [b"\n".join(lines[n : n + 3]) for n in range(0, len(lines), 3)]
    return [b"\x02\x05\x00\x40\x00" + group for group in (groups if target == "lines" else lines)]


def main() -> None:
    """Fuzz one target until libFuzzer's options end it, or something is found."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not there, or has no wheel for this Python and system: run `make fuzz` on Linux x86-64")
    with atheris.instrument_imports(include=["gpdata.wire", "gpdata.spool", "gpdata.ingest.body"]):
        from tests.fuzz.targets import TARGETS
    target, *options = sys.argv[1:] or [""]
    if target not in TARGETS:
        sys.exit(f"{target!r} is no target; valid is one of {', '.join(TARGETS)}")
    folder, artifacts = Path(".fuzz") / target, Path(".fuzz") / "found" / target
    for path in (folder, artifacts):
        path.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (folder / f"seed-{number:03d}").write_bytes(seed)
    known = HERE / "found" / target
    dictionary = f"-dict={HERE / 'json.dict'}"
    folders = [str(folder), *([str(known)] if known.is_dir() else [])]
    atheris.Setup(
        [sys.argv[0], f"-artifact_prefix={artifacts}/", dictionary, "-max_len=3000", *options, *folders],
        TARGETS[target],
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
