"""Who uploads, and what they may do: the one small interface between the service and its accounts.

A hub's tokens, or a site's own accounts, take part by a class with these two methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from gpdata.errors import GpdataError

WRITE: Final = "write"
"""May upload generations."""
READ: Final = "read"
"""May ask what arrived."""

Reason: TypeAlias = Literal["no_token", "bad_token", "revoked", "expired"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whose token is good.

    Parameters
    ----------
    name : str
        The user; what they upload first is theirs.
    scopes : frozenset of str
        What they may do: `WRITE`, `READ`.
    token_id : str
        The public part of the token, for logs and for `Accounts.still_valid`.

    Examples
    --------
    >>> WRITE in Identity("ada", frozenset({"write"}), "0123456789ab").scopes
    True
    """

    name: str
    scopes: frozenset[str]
    token_id: str


class Denied(GpdataError):
    """Nobody whom these accounts let in; the message may be shown to who asked.

    Parameters
    ----------
    code : str
        The stable reason: no_token, bad_token, revoked or expired.
    detail : str
        What was wrong, what is valid, what to do next; never the token.

    Examples
    --------
    >>> Denied("no_token", "send Authorization: Bearer TOKEN").code
    'no_token'
    """

    def __init__(self, code: Reason, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Accounts(Protocol):
    """Knows whose a token is."""

    async def identify(self, token: str | None) -> Identity:
        """Return whose token this is.

        Parameters
        ----------
        token : str or None
            As it was sent; None where none was.

        Returns
        -------
        Identity
            The user and what they may do.

        Raises
        ------
        Denied
            The token is missing, unknown, revoked or expired.
        """

    async def still_valid(self, identity: Identity) -> bool:
        """Say whether an identity that was given out is good now; cheap, asked often during long uploads.

        Parameters
        ----------
        identity : Identity
            What `identify` returned.

        Returns
        -------
        bool
            False once its token is revoked or expired, at most a second later.
        """
