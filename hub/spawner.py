"""Servers as accounts of this machine, or as folders, each held to its limits. Systemd has a spawner of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jupyterhub.spawner import LocalProcessSpawner, SimpleLocalProcessSpawner
from traitlets import Unicode

from hub.limits import CGROUPS, PROCESSES, Limits, ServerGroup, limit_process
from hub.settings import settings


class SystemUserSpawner(LocalProcessSpawner):  # type: ignore[misc]
    """An account of this machine for each user, on a machine without systemd."""

    kept_by = Unicode(PROCESSES, config=True, help="What holds a server to its limits: 'cgroups' or 'processes'.")

    def group(self) -> ServerGroup:
        """Return the control group of this user's server; two hubs of one machine do not share it."""
        return ServerGroup(f"{settings().port}-{self.user.name}")

    def make_preexec_fn(self, name: str) -> Callable[[], None]:
        """Return what the new process does before it is the server: enter its group, take limits, become the user."""
        become = super().make_preexec_fn(name)
        if self.kept_by == CGROUPS:
            group = self.group()
            group.limit(Limits(self.mem_limit, self.cpu_limit))
            limit = limit_process(Limits(self.mem_limit, None))
            steps = [group.enter, limit, become]
        else:
            limit = limit_process(Limits(self.mem_limit, self.cpu_limit), alone=True, spread=self.user.id)
            steps = [limit, become]

        def before() -> None:
            for step in steps:
                step()

        return before

    async def stop(self, now: bool = False) -> None:
        """Stop the server, then end what it left behind: the limits are for the next one."""
        await super().stop(now=now)
        if self.kept_by == CGROUPS:
            group = self.group()
            await asyncio.to_thread(group.kill)
            if not group.remove():
                self.log.warning("processes of %s are still ending, in its control group", self.user.name)


class FolderSpawner(SimpleLocalProcessSpawner):  # type: ignore[misc]
    """A folder for each user; the same account of the machine for all."""

    def make_preexec_fn(self, name: str) -> Callable[[], None]:
        """Return what the new process does before it is the server: take limits, go to its folder."""
        go_home = super().make_preexec_fn(name)
        limit = limit_process(Limits(self.mem_limit, self.cpu_limit), spread=self.user.id)

        def before() -> None:
            limit()
            go_home()

        return before
