"""The hub's settings: defaults, and refusals that say what is valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpdata.errors import InvalidInput
from hub.settings import FOLDERS, SYSTEM, private_directory, settings


def test_the_defaults_stay_on_this_machine():
    here = settings({"XDG_STATE_HOME": "/state"}, root=False)
    assert (here.url, here.users, here.state) == ("http://127.0.0.1:8000/", FOLDERS, Path("/state/gpdata-hub"))
    assert (here.lake.name, here.notebooks.name) == ("example-lake", "example-notebooks")


def test_root_gets_real_accounts_unless_told_otherwise():
    assert settings({}, root=True).users == SYSTEM
    assert settings({"HUB_USERS": "folders"}, root=True).users == FOLDERS


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"HUB_PORT": "http"}, "from 1 to 65535"),
        ({"HUB_PORT": "65536"}, "from 1 to 65535"),
        ({"HUB_PORT": "0"}, "from 1 to 65535"),
        ({"HUB_PORT": "-1"}, "from 1 to 65535"),
        ({"HUB_IP": "localhost"}, "valid is an IP address"),
        ({"HUB_IP": "0.0.0.0"}, "HUB_TLS_KEY and HUB_TLS_CERT"),
        ({"HUB_IP": "::"}, "HUB_TLS_KEY and HUB_TLS_CERT"),
        ({"HUB_TLS_KEY": "key.pem"}, "set both"),
        ({"HUB_USERS": "docker"}, "valid are 'system'"),
        ({"HUB_USERS": "system"}, "only root"),
    ],
)
def test_a_refusal_says_what_is_valid(given, says):
    with pytest.raises(InvalidInput, match=says):
        settings(given, root=False)


def test_with_tls_the_hub_may_listen_to_others():
    here = settings({"HUB_IP": "::", "HUB_TLS_KEY": "k.pem", "HUB_TLS_CERT": "c.pem"}, root=False)
    assert here.url == "https://[::]:8000/"
    assert here.tls_key == Path("k.pem").absolute()


def test_the_state_directory_is_private_or_refused(tmp_path):
    made = private_directory(tmp_path / "a" / "state")
    assert made.stat().st_mode & 0o777 == 0o700
    assert private_directory(made) == made
    made.chmod(0o755)
    with pytest.raises(InvalidInput, match="chmod 700"):
        private_directory(made)
