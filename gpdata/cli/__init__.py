"""The command line: `gpdata COMMAND`. It parses, builds settings and calls; the work is done elsewhere.

A command's module is imported when that command runs, so that `gpdata --help` is quick. What goes wrong is
said in a message on standard error, never in a traceback (GPDATA_TRACEBACK=1 shows it), and by the exit
status: 0 done, 1 stopped or a fault of gpdata, 2 something that the user can mend, 130 interrupted, 141 the
output was not read to its end.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from gpdata.config import show_traceback
from gpdata.errors import GpdataError, near

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

UNREAD = 141
"""What a shell gives for a program that was ended by a closed pipe."""


class Lazy(NamedTuple):
    """A command that is not imported yet: where it is, its line in the help, and the section of that."""

    target: str
    help: str
    section: str = "Commands"


COMMANDS = {
    "demo": Lazy("gpdata.cli.demo:demo", "Evolve, record and report, to see how it all works.", "Record"),
    "example-lake": Lazy(
        "gpdata.cli.example_lake:example_lake", "Make the small lake of the example notebooks.", "Record"
    ),
    "import": Lazy("gpdata.cli.import_:import_", "Take recorder streams into a lake.", "Record"),
    "sweep": Lazy("gpdata.cli.sweep:sweep", "Run a command for each cell of a grid, each recorded once.", "Record"),
    "forward": Lazy("gpdata.cli.forward:forward", "Stand beside a GP system and upload what it records.", "Record"),
    "transform": Lazy("gpdata.cli.transform:transform", "Turn what the spool holds into a lake's tables.", "Record"),
    "info": Lazy("gpdata.cli.lake:info", "Say what a lake holds and how large it is.", "Ask"),
    "runs": Lazy("gpdata.cli.runs:runs", "Say which runs there are, how they differ, how they ended.", "Ask"),
    "success": Lazy("gpdata.cli.success:success", "Say how often runs succeed, and how sure that is.", "Ask"),
    "curves": Lazy("gpdata.cli.curves:curves", "Say how the best error falls, generation by generation.", "Ask"),
    "ancestry": Lazy("gpdata.cli.ancestry:ancestry", "Say whom the winner of a run descends from.", "Ask"),
    "report": Lazy("gpdata.cli.report:report", "Write the standard report of a lake as one HTML page.", "Ask"),
    "explore": Lazy("gpdata.cli.explore:explore", "Show a lake in the browser: choose runs, see, click.", "Ask"),
    "export": Lazy("gpdata.cli.export:export", "Write rows or genealogies for other tools.", "Ask"),
    "command": Lazy("gpdata.cli.command:command", "Print what would start a recorded run again.", "Ask"),
    "verify": Lazy("gpdata.cli.lake:verify", "Check the files and the invariants of a lake.", "Keep"),
    "compact": Lazy("gpdata.cli.lake:compact", "Rewrite a lake's small files into few, well packed ones.", "Keep"),
    "spool": Lazy("gpdata.cli.spool:spool", "Say what waits in a spool, and what is wrong.", "Keep"),
    "backup": Lazy("gpdata.cli.backup:backup", "Copy a lake that is in use, so that it can be restored.", "Keep"),
    "restore": Lazy("gpdata.cli.backup:restore", "Bring a backup back as a lake.", "Keep"),
    "quarantine": Lazy("gpdata.cli.quarantine:quarantine", "List, show and replay refused lines.", "Keep"),
    "ingest": Lazy("gpdata.cli.ingest:ingest", "Run the service that takes uploads into a lake.", "Serve"),
    "token": Lazy("gpdata.cli.token:token", "Create, list and revoke the tokens of an ingest service.", "Serve"),
    "doctor": Lazy("gpdata.cli.doctor:doctor", "Say why Spark does not start, or a lake is not read.", "Look up"),
    "schema": Lazy("gpdata.cli.schema:schema", "Print the schema of the tables, or of a line to upload.", "Look up"),
    "completion": Lazy("gpdata.cli.completion:completion", "Make the Tab key complete all of this.", "Look up"),
}

NEXT_STEP = {
    errno.EACCES: "You may not do that here: check the owner and the permissions, or name another place.",
    errno.EPERM: "You may not do that here: check the owner and the permissions, or name another place.",
    errno.EROFS: "Nothing can be written there: name another place.",
    errno.ENOENT: "Check the spelling of the path.",
    errno.ENOSPC: "Free some space, then run the same command again.",
    errno.EDQUOT: "Free some of your quota, then run the same command again.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n), then run the same command again.",
    errno.EIO: "The disk failed: check it (dmesg says more) before anything else is written to it.",
}
"""What to do about an error of the operating system."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they run, and whose errors are messages.

    Parameters
    ----------
    lazy : mapping of str to Lazy
        The commands by name, in the order of the help.
    *args, **options
        As for `click.Group`.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **options: Any) -> None:
        super().__init__(*args, **options)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None where there is none of that name."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name].target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        if args[0] not in self.lazy and not args[0].startswith("-"):
            ctx.fail(f"there is no command {args[0]!r}: {near(args[0], self.lazy, most=8)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands in the help by section, importing none."""
        widest = max(map(len, self.lazy), default=0)
        for title in dict.fromkeys(command.section for command in self.lazy.values()):
            rows = [(f"{name:{widest}}", each.help) for name, each in self.lazy.items() if each.section == title]
            with formatter.section(title):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command or an option, importing no command."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=each.help) for name, each in self.lazy.items() if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def _main_shell_completion(self, *args: Any, **options: Any) -> None:
        """Answer a shell that completes, bash in our own way; click calls this before anything else."""
        from click.shell_completion import add_completion_class

        from gpdata.cli.completion import Bash

        add_completion_class(Bash)
        super()._main_shell_completion(*args, **options)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Parse the options of the group; `--help` and `--version` write and leave here."""
        with _unread_is_no_error():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _unread_is_no_error():
            return super().invoke(ctx)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line and leave with an exit status, never with a traceback."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            status = super().main(args, prog_name, complete_var, standalone_mode=False, **extra) or 0
        except SystemExit:
            raise
        except click.Abort as abort:  # click makes one of Ctrl-C and of EOFError, too
            status = explain(abort.__cause__ or abort)
        except BaseException as error:
            status = explain(error)
        sys.exit(_flush(status))


@contextmanager
def _unread_is_no_error() -> Iterator[None]:
    """Leave quietly when nobody reads standard output any more; a socket's client raises a GpdataError."""
    try:
        yield
    except BrokenPipeError:
        raise click.exceptions.Exit(UNREAD) from None


def explain(error: BaseException) -> int:
    """Say on standard error what went wrong and what to do next.

    Parameters
    ----------
    error : BaseException
        What ended the command.

    Returns
    -------
    int
        The exit status.

    Examples
    --------
    >>> explain(BrokenPipeError())
    141
    """
    if isinstance(error, BrokenPipeError):
        return UNREAD
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if show_traceback():
        traceback.print_exception(error)
    match error:
        case GpdataError():
            return _say(str(error), 2)
        case KeyboardInterrupt():
            return _say("interrupted; run the same command again to go on.", 130)
        case click.Abort():
            return _say("stopped; nothing more was done.", 1)
        case ModuleNotFoundError() if error.name and not error.name.startswith("gpdata"):
            return _say(
                f"this needs the package {error.name!r}, which this installation of gpdata leaves out; "
                f"install gpdata whole, or {error.name} beside it.",
                2,
            )
        case MemoryError():
            return _say("not enough memory. Set GPDATA_BATCH_BYTES lower, or end other programs.", 1)
        case OSError():
            return _say(_os_error(error), 2)
    return _say(
        f"gpdata failed unexpectedly: {type(error).__name__}: {error}\n"
        "Please report this, with the command that you ran; GPDATA_TRACEBACK=1 shows the traceback.",
        1,
    )


def _say(message: str, status: int) -> int:
    click.echo(f"Error: {message}", err=True)
    return status


def _os_error(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    where = f": {error.filename!r}" if error.filename is not None else ""
    return f"{what}{where}. {NEXT_STEP.get(error.errno or 0, 'Mend that, then run the same command again.')}"


def _flush(status: int) -> int:
    """Write what is still buffered; where that fails, drop it, or the interpreter complains when it exits."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status or explain(error)
    return status


@click.group("gpdata", cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gpdata", prog_name="gpdata")
def main() -> None:
    """Record every individual of every genetic-programming run, keep it for good, and ask it anything.

    `gpdata COMMAND --help` tells more, with examples. `gpdata example-lake` makes a lake to try them on.

    The settings are environment variables: GPDATA_LAKE, GPDATA_ENGINE, GPDATA_OWNER, GPDATA_SERVER, GPDATA_TOKEN,
    GPDATA_MAX_LINE_BYTES, GPDATA_BATCH_BYTES, GPDATA_TRACEBACK; for Spark GPDATA_SPARK_PRESET, GPDATA_SPARK_MASTER,
    GPDATA_SPARK_SECRET_FILE, GPDATA_SPARK_NAMESPACE, GPDATA_SPARK_IMAGE, GPDATA_SPARK_FALLBACK, GPDATA_POD_IP.

    The exit status is 0 where it was done, 1 where it was stopped or gpdata is at fault, 2 where you can mend
    something, 130 after Ctrl-C, 141 where the output was not read to its end.
    """
