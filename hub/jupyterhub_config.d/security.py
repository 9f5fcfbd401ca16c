"""What holds wherever the hub runs: how long a sign-in lasts, and what a browser may do with the hub's pages."""

import os

c.JupyterHub.cookie_max_age_days = 7
c.JupyterHub.authenticate_prometheus = True
c.JupyterHub.allow_named_servers = False
c.JupyterHub.tornado_settings.update(
    {
        "headers": {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            # The hub's pages are framed by nobody and load no plug-in. Their scripts are inline, of JupyterHub itself.
            "Content-Security-Policy": "frame-ancestors 'none'; object-src 'none'; base-uri 'self'",
        }
    }
)

if "HUB_STATE" in os.environ:
    from hub.settings import settings

    here = settings()
    if here.url.startswith("https:"):  # JupyterHub sees to its other cookies by itself
        c.JupyterHub.tornado_settings.update({"xsrf_cookie_kwargs": {"secure": True}})
    # An own domain for each server: a page that one user makes cannot act as another who opens it.
    c.JupyterHub.subdomain_host = here.domain or ""
