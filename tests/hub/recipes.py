"""Every example notebook, run inside a user's server of a real hub; its outputs compared as nbval does.

    python -m tests.hub.recipes [NOTEBOOK ...]

Ends with 1 where a notebook shows something else than is stored in it. The server's own copies are in the user's home;
what is compared is this checkout's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hub import proxy
from hub.settings import ROOT
from tests.hub.live import live_hub

FOLDER = ROOT / "example-notebooks"
SANITIZE = FOLDER / "sanitize.cfg"


def main() -> int:
    """Run the notebooks; return the exit status."""
    notebooks = [Path(name).resolve() for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb"))
    proxy.install()
    with tempfile.TemporaryDirectory(prefix="gpdata-recipes-") as temporary:
        folder = Path(temporary)
        lake = example_lake(folder)
        with live_hub(folder / "state", lake, HUB_IDLE="never", HUB_NOTEBOOKS=str(notebooks[0].parent)) as hub:
            hub.add("ada")
            ada = hub.sign_in("ada")
            ada.start()
            return compare(notebooks, ada.server, ada.token)


def example_lake(folder: Path) -> Path:
    """Make the lake that the notebooks' stored outputs are of; or a copy of the one that EXAMPLE_LAKE names."""
    lake = folder / "example-lake"
    if "EXAMPLE_LAKE" in os.environ:
        return Path(shutil.copytree(os.environ["EXAMPLE_LAKE"], lake))
    code = "from gpdata.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, "example-lake", "--lake", str(lake)], cwd=ROOT, check=True)
    return lake


def compare(notebooks: list[Path], server: str, token: str) -> int:
    """Let nbval run notebooks in a server, and compare every output with the stored one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GPDATA_"))}
    environment |= {"SERVER_URL": server, "SERVER_TOKEN": token, "SERVER_FOLDER": "example-notebooks"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.hub.remote_kernel", "-p", "no:cacheprovider",
               "-p", "no:xdist", "--nbval", "--nbval-cell-timeout=600", f"--rootdir={notebooks[0].parent}",
               "--config-file=/dev/null"]  # fmt: skip
    if SANITIZE.is_file():
        command.append(f"--nbval-sanitize-with={SANITIZE}")
    return subprocess.run([*command, *map(str, notebooks)], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
