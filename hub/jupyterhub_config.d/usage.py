"""The usage page of administrators at /services/usage/, and the collector behind it."""

import os
import socket
import sys

if "HUB_STATE" in os.environ:
    from urllib.parse import urlsplit

    from hub.settings import ROOT, settings

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    here = settings()
    route = "/services/usage/"
    # As for ingest, it has no `url`: a page of figures must not keep the hub from starting.
    c.JupyterHub.services.append(
        {
            "name": "usage",
            "command": [sys.executable, "-P", str(ROOT / "hub" / "usage.py"), "--serve"],
            "cwd": "/",
            "environment": {
                "JUPYTERHUB_SERVICE_URL": address,
                "JUPYTERHUB_SERVICE_PREFIX": route,
                "HUB_STATE": str(here.state),
                "HUB_USERS": here.users,
                "HUB_IDLE": f"{here.idle}s" if here.idle else "never",
                "GPDATA_LAKE": str(here.lake),
            },
            "oauth_redirect_uri": f"{route}oauth_callback",
            "oauth_no_confirm": True,
            "display": False,
        }
    )
    # It reads who is there; who may open the page is said by access:services!service=usage, which administrators have.
    c.JupyterHub.load_roles.append({"name": "usage", "scopes": ["list:users", "read:servers"], "services": ["usage"]})
    c.Proxy.extra_routes.update({f"{urlsplit(here.domain or '').hostname or ''}{route}": address})
    c.JupyterHub.template_paths = [str(ROOT / "hub" / "templates")]
