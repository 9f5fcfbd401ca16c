"""The hub: JupyterHub with accounts, one notebook server per user, gpdata ready in each. See docs/hub.md."""
