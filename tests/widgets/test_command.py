"""`gpdata explore`: what it refuses, before a server is started. The page itself is in test_browser.py."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gpdata.cli import main
from gpdata.cli.explore import explore
from gpdata.errors import GpdataError


def refusal(*words):
    """Return what an invocation is refused with."""
    with pytest.raises(GpdataError) as caught:
        CliRunner().invoke(explore, [*map(str, words), "--no-browser"], catch_exceptions=False)
    return str(caught.value)


def test_no_lake(tmp_path):
    assert "there is no lake at" in refusal(tmp_path / "nothing")


def test_an_address_that_is_none(small_lake):
    assert "'here' is no IP address" in refusal(small_lake, "--address", "here")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken(small_lake, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as other:
        try:
            other.bind((address, 0))
        except OSError:
            pytest.skip(f"this machine has no {address}")
        other.listen()
        port = other.getsockname()[1]
        assert f"port {port} at {address} is in use" in refusal(small_lake, "--address", address, "--port", port)


def test_without_voila_it_says_what_to_install(small_lake, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'voila' else real(name, *rest)\n"
    )
    done = subprocess.run(
        [Path(sys.executable).parent / "gpdata", "explore", small_lake, "--no-browser"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'gpdata[notebook]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_lists_it():
    assert "explore" in CliRunner().invoke(main, ["--help"]).output
