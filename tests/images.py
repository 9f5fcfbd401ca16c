"""What hub/images/Containerfile says, for tests that need no container."""

from __future__ import annotations

import re
from importlib import metadata

from packaging.requirements import Requirement

from tests.conftest import ROOT

CONTAINERFILE = (ROOT / "hub" / "images" / "Containerfile").read_text(encoding="utf-8")

_GUARD = """\
import sys
OUTSIDE = frozenset({outside!r})
class Guard:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in OUTSIDE:
            raise ModuleNotFoundError(f"No module named {{name!r}} in the image {target}", name=name)
sys.meta_path.insert(0, Guard)
"""


def instructions() -> list[str]:
    """Return the instructions, each on a line of its own, comments left out."""
    lines = [line for line in CONTAINERFILE.splitlines() if not line.lstrip().startswith("#")]
    return [line.strip() for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines() if line.strip()]


def image_packages(target: str = "ingest") -> list[str]:
    """Return the packages that an image is given by name."""
    stage = "\n".join(instructions()).partition(f" AS {target}-packages\n")[2].partition("FROM ")[0]
    found = re.search(r"install\.sh (?:--requirements \S+ )?(?:--extra \S+ )*([^&\n]+)", stage)
    assert found is not None, target
    return found[1].split()


def closure(names: list[str]) -> set[str]:
    """Return the names of these distributions and of all that they need, normalised."""
    known: set[str] = set()
    waiting = list(names)
    while waiting:
        name = normal(waiting.pop())
        if name in known:
            continue
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another version of Python
            continue
        known.add(name)
        for requirement in map(Requirement, requirements):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return known


def packages_outside(names: list[str]) -> set[str]:
    """Return the modules of this environment that no distribution among these, or needed by these, brings."""
    inside = closure(names) | {"gpdata"}
    return {
        module
        for module, distributions in metadata.packages_distributions().items()
        if not any(normal(distribution) in inside for distribution in distributions)
    }


def guard(target: str) -> str:
    """Return a sitecustomize.py with which Python finds no module that an image lacks."""
    return _GUARD.format(outside=sorted(packages_outside(image_packages(target))), target=target)


def normal(name: str) -> str:
    """Normalise the name of a distribution."""
    return re.sub(r"[-_.]+", "-", name).lower()
