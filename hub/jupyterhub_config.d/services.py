"""The ingest service at /services/gpdata/: what tokens may do there, and on one machine the service itself.

On a cluster the chart runs the service, and tells the hub where with two variables of the hub's container:
GPDATA_INGEST_URL, the address that the proxy sends requests to, and GPDATA_SERVER, the one that users upload to.
"""

import os
import sys

WRITE, READ = "custom:gpdata:write", "custom:gpdata:read"
ROUTE = "/services/gpdata"

c.JupyterHub.custom_scopes.update(
    {
        WRITE: {"description": "Upload runs to the lake under your name."},
        READ: {"description": "Ask which runs have arrived in the lake."},
    }
)
c.JupyterHub.load_roles.extend(
    [
        # JupyterHub's own two roles and what they have anyway, with ours: every user, and every user's server.
        {"name": "user", "scopes": ["self", WRITE, READ]},
        {"name": "server", "scopes": ["users:activity!user", "access:servers!server", WRITE, READ]},
    ]
)


def own_token(spawner):
    """Return the token that a server has already: it ends with the server, and uploads count as its user's."""
    return spawner.api_token


if "HUB_STATE" in os.environ:
    from urllib.parse import urlsplit

    from hub.settings import ROOT, settings

    here = settings()
    address = f"http://127.0.0.1:{here.ingest_port}"
    # The hub starts it, also anew when it ended. It asks the hub about a token with that token, and so needs no role.
    # It has no `url`: with one, the hub itself would not start while the service cannot.
    c.JupyterHub.services.append(
        {
            "name": "gpdata",
            "command": [
                sys.executable,
                "-P",
                str(ROOT / "hub" / "ingest_service.py"),
                str(here.lake),
                here.users,
            ],
            "cwd": "/",
            "environment": {"JUPYTERHUB_SERVICE_URL": address, "JUPYTERHUB_SERVICE_PREFIX": f"{ROUTE}/"},
            "display": False,
        }
    )
    # The same path on the hub's own domain, also where each server has another one.
    c.Proxy.extra_routes.update({f"{urlsplit(here.domain or '').hostname or ''}{ROUTE}/": address})
    # Straight to the service, not by the proxy: loopback needs no certificate.
    c.Spawner.environment.update({"GPDATA_SERVER": f"{address}{ROUTE}", "GPDATA_TOKEN": own_token})
elif "GPDATA_INGEST_URL" in os.environ:
    c.Proxy.extra_routes.update({f"{ROUTE}/": os.environ["GPDATA_INGEST_URL"]})
    if "GPDATA_SERVER" in os.environ:
        c.KubeSpawner.environment.update({"GPDATA_SERVER": os.environ["GPDATA_SERVER"], "GPDATA_TOKEN": own_token})
