"""What only a cluster has: the explorer's page in each server, and whose Spark executors are in which namespace.

The chart tells the groups in GPDATA_SPARK_GROUPS, as JSON: {"biology": {"namespace": "...", "account": "..."}}. Who is
in none of them keeps the namespace and the service account of the chart's values.
"""

import json
import os
from importlib.util import find_spec
from pathlib import Path

if "HUB_STATE" not in os.environ:
    # A values file removes what the chart mounts by writing null in its place.
    pods = c.get("KubeSpawner", {})
    for kind in ("volumes", "volume_mounts"):
        if isinstance(pods.get(kind), dict):
            pods[kind] = {name: told for name, told in pods[kind].items() if told is not None}

    # The images have the same Python, and gpdata in the same place.
    if any(str(part).endswith("user_server.py") for part in c.Spawner.get("cmd", [])):
        page = Path(find_spec("gpdata").origin).parent / "widgets" / "page.ipynb"
        c.Spawner.args = [f"--explorer={page}"]

    places = json.loads(os.environ.get("GPDATA_SPARK_GROUPS") or "{}")
    if places:

        def place_executors(spawner):
            """Let a server start executors where its user's group has them; of several groups the first by name."""
            mine = sorted(group.name for group in spawner.user.groups if group.name in places)
            # Both from the configuration each time: the group may have been another one when the server last started.
            spawner.service_account = spawner.config.KubeSpawner.get("service_account")
            spawner.environment = dict(spawner.config.KubeSpawner.get("environment", {}))
            if mine:
                spawner.service_account = places[mine[0]]["account"]
                spawner.environment["GPDATA_SPARK_NAMESPACE"] = places[mine[0]]["namespace"]

        c.Spawner.pre_spawn_hook = place_executors
