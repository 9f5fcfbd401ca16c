"""Accounts with a name and a password that only an administrator can open."""

from __future__ import annotations

from typing import Any

from jupyterhub.handlers import LogoutHandler
from jupyterhub.orm import new_token
from nativeauthenticator import NativeAuthenticator

BCRYPT_BYTES = 72
"""bcrypt reads no more of a password, and refuses a longer one with an exception."""


class SignOut(LogoutHandler):  # type: ignore[misc]
    """Signing out ends every session of the user: a cookie that was copied from a browser is worth nothing after it."""

    async def handle_logout(self) -> None:
        """Give the user a new number for cookies, so that those of before name nobody."""
        if self.current_user:
            self.current_user.orm_user.cookie_id = new_token()
            self.db.commit()


class LabAuthenticator(NativeAuthenticator):  # type: ignore[misc]
    """NativeAuthenticator that answers more than 72 bytes as any other wrong password, not with an HTTP 500."""

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        """Return the user's name when the password is right, None when not."""
        if len(data["password"].encode()) > BCRYPT_BYTES:
            data["password"] = ""  # nobody's: wrong here and in the page that answers, and counted as a failure
        name: str | None = await super().authenticate(handler, data)
        return name

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        """Return the pages of accounts."""
        return [*super().get_handlers(app), (r"/logout", SignOut)]

    def is_password_strong(self, password: str) -> bool:
        """Say whether a new password keeps every rule."""
        return not self.password_faults(password)

    def password_faults(self, password: str) -> list[str]:
        """List what is wrong with a new password, in words; empty: nothing."""
        faults = []
        if len(password) < self.minimum_password_length:
            faults.append(f"it has {len(password)} characters; valid are {self.minimum_password_length} and more")
        if len(password.encode()) > BCRYPT_BYTES:
            faults.append(f"it has {len(password.encode())} bytes; valid are at most {BCRYPT_BYTES}")
        if "\0" in password:
            faults.append("it has a NUL character")
        if self.check_common_password and self.is_password_common(password):
            faults.append("it is one of the passwords that everybody tries first")
        return faults
