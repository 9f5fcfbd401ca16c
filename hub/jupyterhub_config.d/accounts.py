"""Who may sign in: on one machine, whom an administrator gave an account with hub/add_user.py."""

import os

if "HUB_STATE" in os.environ:
    from hub.authenticator import LabAuthenticator
    from hub.settings import settings

    c.JupyterHub.authenticator_class = LabAuthenticator
    c.JupyterHub.db_url = settings().db_url
    c.JupyterHub.cookie_secret_file = str(settings().state / "cookie_secret")

    # No sign-up page at all. Each account is a row that hub/add_user.py wrote; whoever has one may sign in.
    c.LabAuthenticator.enable_signup = False
    c.LabAuthenticator.open_signup = False
    c.LabAuthenticator.allow_all = True

    # A name is also the name of an account of this machine and of its home.
    c.LabAuthenticator.username_pattern = r"[a-z][a-z0-9_-]{0,30}\Z"
    c.LabAuthenticator.minimum_password_length = 12
    c.LabAuthenticator.check_common_password = True
    c.LabAuthenticator.allowed_failed_logins = 5
    c.LabAuthenticator.seconds_before_next_try = 600
