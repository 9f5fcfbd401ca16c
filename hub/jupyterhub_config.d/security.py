"""What holds wherever the hub runs: how long a sign-in lasts, and what a browser may do with the hub's pages."""

c.JupyterHub.cookie_max_age_days = 7
c.JupyterHub.authenticate_prometheus = True
c.JupyterHub.allow_named_servers = False
c.JupyterHub.tornado_settings.update(
    {"headers": {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}}
)
