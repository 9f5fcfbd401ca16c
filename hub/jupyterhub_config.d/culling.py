"""A server in which nothing runs and of which no page is open is stopped after HUB_IDLE; its files stay.

What runs: gpdata/sessions/server.py tells the hub of busy kernels and Spark jobs. A cluster has the chart's own culler.
"""

import os
import sys

if "HUB_STATE" in os.environ:
    from hub.settings import settings

    here = settings()
    if here.idle:
        # The proxy is asked for open pages as often as the culler looks; the servers tell of what runs in servers.py.
        c.JupyterHub.last_activity_interval = here.look
        c.JupyterHub.services.append(
            {
                "name": "idle-culler",
                "command": [
                    sys.executable,
                    "-P",
                    "-m",
                    "jupyterhub_idle_culler",
                    f"--timeout={here.idle}",
                    f"--cull-every={here.look}",
                ],
            }
        )
        c.JupyterHub.load_roles.append(
            {
                "name": "idle-culler",
                "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
                "services": ["idle-culler"],
            }
        )
