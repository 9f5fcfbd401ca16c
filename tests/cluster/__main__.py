"""`make test-cluster`: set up what is missing, saying so, and run the tests of this folder on a cluster of one node."""

from __future__ import annotations

import os
import sys

import pytest

from gpdata.errors import InvalidInput
from tests.cluster.conftest import ASKED
from tests.cluster.tools import DEBIAN, build, installed
from tests.conftest import ROOT


def main() -> int:
    """Run everything; the exit status is pytest's, or 2 where this machine cannot."""
    os.environ[ASKED] = "1"
    try:
        if os.geteuid() != 0:
            raise InvalidInput("a cluster needs root, for namespaces, mounts and cgroups; run `sudo make test-cluster`")
        installed(DEBIAN)
        build()
    except InvalidInput as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 2
    return int(
        pytest.main(["-q", "-s", "-m", "", "-p", "no:cacheprovider", str(ROOT / "tests" / "cluster"), *sys.argv[1:]])
    )


if __name__ == "__main__":
    sys.exit(main())
