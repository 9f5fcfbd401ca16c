"""What starts when a user signs in: JupyterLab with the hub's own Python, so that gpdata is there."""

import asyncio
import os
import sys
from pathlib import Path

c.Spawner.default_url = "/lab"

if "HUB_STATE" in os.environ:
    from hub.limits import MOST_TASKS, SYSTEMD, Limits, way
    from hub.settings import ROOT, SYSTEM, settings
    from hub.spawner import FolderSpawner, SystemUserSpawner
    from hub.system_users import ensure_account

    here = settings()
    kept_by = way(root=here.users == SYSTEM)
    c.Spawner.cmd = [sys.executable, str(ROOT / "hub" / "user_server.py")]
    c.Spawner.args = [f"--notebooks={here.notebooks}", f"--shared={here.shared}"]
    explorer = ROOT / "gpdata" / "widgets" / "page.ipynb"
    if explorer.exists():
        c.Spawner.args.append(f"--explorer={explorer}")
    c.Spawner.start_timeout = c.Spawner.http_timeout = 120
    c.Spawner.mem_limit = here.memory
    c.Spawner.cpu_limit = here.cpus
    c.Spawner.environment = {
        "GPDATA_LAKE": str(here.lake),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "JUPYTER_CONFIG_PATH": str(ROOT / "hub" / "jupyter"),
        "JUPYTER_PATH": str(ROOT / "hub" / "jupyter" / "share"),
        # Spark's web page is for the user's own server alone; without this it listens to the whole network.
        "SPARK_LOCAL_IP": "127.0.0.1",
        "JUPYTERHUB_ACTIVITY_INTERVAL": str(here.look),
    }
    if here.users == SYSTEM:

        async def account(spawner):
            """Make the user's account of this machine before its server starts."""
            await asyncio.to_thread(ensure_account, spawner.user.name)

        c.Spawner.pre_spawn_hook = account
        if kept_by == SYSTEMD:
            c.JupyterHub.spawner_class = "systemd"
            c.SystemdSpawner.unit_name_template = f"gpdata-hub-{here.port}-{{USERNAME}}"
            c.SystemdSpawner.default_shell = "/bin/bash"
            c.SystemdSpawner.isolate_tmp = True
            c.SystemdSpawner.unit_extra_properties = {
                "TasksMax": str(MOST_TASKS),
                "MemorySwapMax": "0",
                # A kernel that takes too much ends alone, and the server tells it.
                "OOMPolicy": "continue",
                "LimitDATA": str(Limits(here.memory, None).data or "infinity"),
            }
        else:
            c.JupyterHub.spawner_class = SystemUserSpawner
            c.SystemUserSpawner.kept_by = kept_by
    else:
        c.JupyterHub.spawner_class = FolderSpawner
        c.FolderSpawner.home_dir_template = str(here.state / "homes" / "{username}")
        if os.geteuid() == 0:
            c.Spawner.args.append("--allow-root")
