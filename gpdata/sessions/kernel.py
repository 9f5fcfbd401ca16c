"""What a notebook kernel of the hub has before its first cell: Spark with progress in the cell and a page of its own.

An IPython extension: ``--ext=gpdata.sessions.kernel``. Everything is in the settings that Spark finds, so that it
holds for ``gp.spark()`` and for a session that somebody builds without gpdata.
"""

from __future__ import annotations

import atexit
import logging
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpdata.config import memory_limit, spark_environment
from gpdata.exported import export, exported
from gpdata.sessions.session import conf_directory
from gpdata.sessions.ui import announce

VICTIM = "500"
"""Where memory runs out, the kernel (or what it started) ends, not the server that tells of it."""


def load_ipython_extension(shell: Any) -> None:
    """Prepare Spark for this kernel; called by IPython when it starts.

    Parameters
    ----------
    shell : InteractiveShell
        The kernel's shell.
    """
    from jupyter_core.paths import jupyter_runtime_dir

    Path("/proc/self/oom_score_adj").write_text(VICTIM)
    if limit := memory_limit():
        tell_of_memory(shell, limit)
    if find_spec("pyspark") is None:
        return
    environment = spark_environment()
    conf = Path(environment.conf_dir) if environment.conf_dir else conf_directory()
    folder = announce(Path(jupyter_runtime_dir()), conf, progress(shell, environment.spark_home))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    export({"SPARK_CONF_DIR": str(folder)}, replace=True)


def progress(shell: Any, spark_home: str | None) -> dict[str, str]:
    """Load sparkmonitor and return the Spark settings with which it shows the progress of jobs under a cell.

    Parameters
    ----------
    shell : InteractiveShell
        The kernel's shell.
    spark_home : str or None
        The Spark that a site installed; None: the installed pyspark.

    Returns
    -------
    dict of str to str
        Empty where sparkmonitor is not installed.
    """
    spec, pyspark = find_spec("sparkmonitor"), find_spec("pyspark")
    if spec is None or pyspark is None or not pyspark.origin:
        return {}
    # It looks for Spark's version there when it loads. Later nobody needs it: findspark would take it for a site's.
    with exported({"SPARK_HOME": spark_home or str(Path(pyspark.origin).parent)}):
        shell.extension_manager.load_extension("sparkmonitor.kernelextension")
    from sparkmonitor import kernelextension  # type: ignore[import-untyped]

    conf = shell.user_ns.get("conf")
    if conf is None:  # no kernel of a notebook
        return {}
    shell.drop_by_id({"conf": conf, "swan_spark_conf": conf})
    kernelextension.logger.setLevel(logging.WARNING)
    kernelextension.monitor.comm = NoFrontEnd()
    return dict(conf.getAll())


class NoFrontEnd:
    """What sparkmonitor talks to until JupyterLab opens its channel; a notebook that runs without a page has none."""

    def send(self, message: object) -> None:
        """Let the message go."""


def tell_of_memory(shell: Any, limit: int) -> None:
    """Say, where memory runs out, how much there is and what can be done.

    Parameters
    ----------
    shell : InteractiveShell
        The kernel's shell.
    limit : int
        How much the user's server may take with all kernels together, in bytes.
    """

    def show(shell: Any, kind: type, error: BaseException, trace: Any, tb_offset: int | None = None) -> None:
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        sys.stderr.write(
            f"\nThe hub gives your server {limit / 2**30:.3g} GiB of memory for all notebooks together, and this cell "
            "asked for more. Shut down notebooks that you do not need (Kernel > Shut Down), or ask for fewer rows.\n"
        )

    shell.set_custom_exc((MemoryError,), show)
