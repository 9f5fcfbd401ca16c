"""JupyterHub's configuration: everything is in jupyterhub_config.d/, one file per concern, loaded in any order.

zero-to-jupyterhub loads a folder of that name by itself. Files that hold for one machine only begin with
``if "HUB_STATE" in os.environ``, which this file sets; on a cluster the chart's values say those things.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from hub.settings import private_directory, settings  # noqa: E402

os.environ["HUB_STATE"] = str(private_directory(settings().state))
for file in sorted((HERE / "jupyterhub_config.d").glob("*.py")):
    load_subconfig(str(file))
