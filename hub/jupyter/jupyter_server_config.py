"""Each user's JupyterLab: what holds on one machine and on a cluster alike."""

from gpdata.sessions.server import proxied

c = get_config()  # noqa: F821 - it is there for who loads this file

# Other users of the machine could listen to a kernel's ports.
c.KernelManager.transport_encryption = "auto"
# Busy kernels and Spark jobs count as activity; the Spark page and the explorer stand in the launcher.
c.ServerApp.jpserver_extensions = {"gpdata.sessions.server": True}
c.ServerProxy.servers = proxied()
c.ResourceUseDisplay.show_host_usage = False
c.ResourceUseDisplay.track_cpu_percent = True
# For this many seconds a server believes what the hub said of a visitor: a sign-out reaches it soon.
c.HubAuth.cache_max_age = 10
