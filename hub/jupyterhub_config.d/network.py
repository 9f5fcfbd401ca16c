"""Where hub and proxy listen: people reach the proxy, the rest is for this machine only."""

import os
import socket

if "HUB_STATE" in os.environ:
    from hub import proxy
    from hub.settings import settings

    def free_port():
        """Ask the system for a port of the loopback that nobody uses, so that two hubs do not meet."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    here = settings()
    c.JupyterHub.bind_url = here.url
    c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{free_port()}"
    if here.tls_key:
        c.JupyterHub.ssl_key = str(here.tls_key)
        c.JupyterHub.ssl_cert = str(here.tls_cert)

    c.ConfigurableHTTPProxy.command = proxy.command()
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{free_port()}"
    # A proxy that outlived a killed hub is found by this file and stopped at the next start.
    c.ConfigurableHTTPProxy.pid_file = str(here.state / "proxy.pid")

    # Ctrl-C and SIGTERM end everything that the hub started.
    c.JupyterHub.cleanup_servers = True
    c.JupyterHub.cleanup_proxy = True
