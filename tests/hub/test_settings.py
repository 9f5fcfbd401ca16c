"""The hub's settings: defaults, and refusals that say what is valid."""

from __future__ import annotations

import os
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
        ({"HUB_MEMORY": "8"}, "a number with M, G or T"),
        ({"HUB_MEMORY": "100M"}, "at least 512M"),
        ({"HUB_CPUS": "0"}, "from 0.1"),
        ({"HUB_CPUS": "two"}, "from 0.1"),
        ({"HUB_IDLE": "5"}, "a whole number with s, m, h or d"),
        ({"HUB_IDLE": "1s"}, "at least 20s"),
        ({"HUB_DOMAIN": "hub.lab.org"}, "such as https://hub.lab.org"),
        ({"HUB_DOMAIN": "http://hub.lab.org", "HUB_TLS_KEY": "k", "HUB_TLS_CERT": "c"}, "write https://hub.lab.org"),
    ],
)
def test_a_refusal_says_what_is_valid(given, says):
    with pytest.raises(InvalidInput, match=says):
        settings(given, root=False)


def test_limits_have_units_and_can_be_lifted():
    here = settings({"HUB_MEMORY": "1.5G", "HUB_CPUS": "0.5", "HUB_IDLE": "2d"}, root=False)
    assert (here.memory, here.cpus, here.idle, here.look) == (3 * 2**29, 0.5, 172_800, 300)
    free = settings({"HUB_MEMORY": "none", "HUB_CPUS": "none", "HUB_IDLE": "never"}, root=False)
    assert (free.memory, free.cpus, free.idle) == (None, None, 0)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert settings({}, root=False).memory <= machine  # one user never takes all, unless told so
    assert settings({"HUB_DOMAIN": "https://hub.lab.org"}, root=False).url == "https://hub.lab.org/"


def test_the_shared_folder_is_where_all_users_reach_it():
    assert settings({}, root=True).shared == Path("/srv/gpdata-shared")
    assert settings({"HUB_STATE": "/state"}, root=False).shared == Path("/state/shared")
    assert settings({"HUB_SHARED": "/data/lab"}, root=True).shared == Path("/data/lab")


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
