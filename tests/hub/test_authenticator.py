"""A password that bcrypt cannot read is answered, not crashed on."""

from __future__ import annotations

import asyncio

from hub.add_user import add_user, open_accounts


def test_signing_in(state):
    add_user("ada", "correct horse battery")
    authenticator, session = open_accounts()
    with session:

        def sign_in(password):
            return asyncio.run(authenticator.authenticate(None, {"username": "ada", "password": password}))

        assert sign_in("correct horse battery") == "ada"
        assert sign_in("correct horse batterz") is None
        assert sign_in("x" * 73) is None
        assert authenticator.login_attempts["ada"]["count"] == 2  # both wrong ones count, also the long one
