"""What starts when a user signs in: JupyterLab with the hub's own Python, so that gpdata is there."""

import asyncio
import os
import sys
from pathlib import Path

c.Spawner.default_url = "/lab"

if "HUB_STATE" in os.environ:
    from hub.settings import ROOT, SYSTEM, settings
    from hub.system_users import ensure_account

    here = settings()
    c.Spawner.cmd = [sys.executable, str(ROOT / "hub" / "user_server.py")]
    c.Spawner.args = [f"--notebooks={here.notebooks}"]
    c.Spawner.start_timeout = c.Spawner.http_timeout = 120
    c.Spawner.environment = {
        "GPDATA_LAKE": str(here.lake),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "JUPYTER_CONFIG_PATH": str(ROOT / "hub" / "jupyter"),
    }
    if here.users == SYSTEM:

        async def account(spawner):
            """Make the user's account of this machine before its server starts."""
            await asyncio.to_thread(ensure_account, spawner.user.name)

        c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
        c.Spawner.pre_spawn_hook = account
    else:
        c.JupyterHub.spawner_class = "jupyterhub.spawner.SimpleLocalProcessSpawner"
        c.SimpleLocalProcessSpawner.home_dir_template = str(here.state / "homes" / "{username}")
        if os.geteuid() == 0:
            c.Spawner.args.append("--allow-root")
