"""Start a user's notebook server: example notebooks, the link to the shared folder, then jupyterhub-singleuser.

It runs as the user, so that nothing in a user's home is ever written by root. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

RECORD = ".delivered.json"


def deliver(source: Path, target: Path, also: Mapping[str, Path] | None = None) -> list[str]:
    """Copy the notebooks of a folder, never over one that was changed since it was delivered.

    Parameters
    ----------
    source : Path
        The folder of example notebooks, with its subfolders. Hidden ones are left out, as are other files.
    target : Path
        Where the user has the copies; made if it is missing. The file ``.delivered.json`` in it holds the SHA-256
        of each notebook as it was last delivered: one that still has it was not edited.
    also : mapping of str to Path, optional
        Further notebooks from elsewhere, by the names that they get.

    Returns
    -------
    list of str
        The names of the notebooks that have a newer version but were kept, because the user changed them.

    Raises
    ------
    OSError
        The source cannot be read, or a copy cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> here = Path(tempfile.mkdtemp())
    >>> (here / "source").mkdir()
    >>> _ = (here / "source" / "01.ipynb").write_text("first")
    >>> deliver(here / "source", here / "home")
    []
    >>> _ = (here / "home" / "01.ipynb").write_text("mine")
    >>> _ = (here / "source" / "01.ipynb").write_text("second")
    >>> deliver(here / "source", here / "home")
    ['01.ipynb']
    """
    record_file = target / RECORD
    delivered = _read_record(record_file)
    before = dict(delivered)
    kept = []
    for name, file in (_names(source) | dict(also or {})).items():
        new = file.read_bytes()
        copy = target / name
        old = copy.read_bytes() if copy.is_file() else None
        if old is not None and _digest(old) != delivered.get(name) and old != new:
            kept.append(name)
            continue
        if old != new:
            _write(copy, new)
        delivered[name] = _digest(new)
    if delivered != before:
        _write(record_file, json.dumps(delivered, indent=1, sort_keys=True).encode())
    return kept


def _names(source: Path) -> dict[str, Path]:
    """Find the notebooks of a folder by their names relative to it, without hidden ones."""
    next(source.iterdir(), None)  # rglob is silent about a folder that is missing or may not be read
    found = sorted((file.relative_to(source), file) for file in source.rglob("*.ipynb"))
    return {name.as_posix(): file for name, file in found if not any(part.startswith(".") for part in name.parts)}


def _read_record(file: Path) -> dict[str, str]:
    """Read what was delivered; an unreadable record counts as none, and then every differing file as edited."""
    try:
        record = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(file: Path, content: bytes) -> None:
    """Write a whole file or none of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    part.write_bytes(content)
    part.replace(file)


def link(shared: Path, name: Path) -> None:
    """Let a name in the user's home lead to the folder of all; what the user has under that name stays.

    Parameters
    ----------
    shared : Path
        The folder of all.
    name : Path
        The link.

    Examples
    --------
    >>> import tempfile
    >>> here = Path(tempfile.mkdtemp())
    >>> link(Path("/srv/gpdata-shared"), here / "shared")
    >>> (here / "shared").readlink().as_posix()
    '/srv/gpdata-shared'
    """
    if name.is_symlink() and not name.exists():  # the folder of all has moved
        name.unlink()
    if not name.is_symlink() and not name.exists():
        name.symlink_to(shared)


def main() -> None:
    """Deliver, then run the server in this same process. A failed delivery is told and does not stop the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notebooks", type=Path, required=True)
    parser.add_argument("--shared", type=Path)  # a cluster may have no folder of all
    parser.add_argument("--explorer", type=Path)
    own, server_arguments = parser.parse_known_args()
    target = Path.home() / "example-notebooks"
    try:
        kept = deliver(own.notebooks, target, {"explorer.ipynb": own.explorer} if own.explorer else None)
    except OSError as error:
        sys.stderr.write(f"example notebooks: not brought up to date, the server starts without: {error}\n")
    else:
        for name in kept:
            sys.stderr.write(
                f"example notebooks: {target / name} was edited and is kept; rename it to get the newest version\n"
            )
    try:
        if own.shared:
            link(own.shared, Path.home() / "shared")
    except OSError as error:
        sys.stderr.write(f"shared folder: no link at ~/shared, the server starts without: {error}\n")
    # -P: a file of the user's, such as ~/random.py, must not stand in for a module of the server's.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "jupyterhub.singleuser", *server_arguments])


if __name__ == "__main__":
    main()
