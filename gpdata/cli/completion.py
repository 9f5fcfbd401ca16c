"""`gpdata completion`: what makes a shell complete commands, options, lakes, config keys and runs."""

from __future__ import annotations

import shlex
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

VARIABLE = "_GPDATA_COMPLETE"
"""The environment variable in which the script asks."""


class Bash(BashComplete):
    """Completion for bash, which takes KEY=VALUE for three words and replaces only the last one."""

    # Its own script, but no blank after KEY=, and no file names in the place of a value with a star.
    source_template = BashComplete.source_template.replace(
        "COMPREPLY+=($value)", 'COMPREPLY+=("$value"); [[ $value == *= ]] && compopt -o nospace'
    )
    before = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor and the one at it, each whole again."""
        args, incomplete = super().get_completion_args()
        words: list[str] = []
        joined = False
        for word in [*args, incomplete]:
            if words and (word == "=" or joined):
                words[-1] += word
            else:
                words.append(word)
            joined = word == "="
        incomplete = words.pop() if words else ""
        self.before = incomplete[: incomplete.rfind("=") + 1]
        if incomplete.startswith("--") and self.before:  # --by=pro: click wants them apart
            option, _, incomplete = incomplete.partition("=")
            words.append(option)
            self.before = self.before.removeprefix(f"{option}=")
        return words, incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return what bash puts in the place of the last word."""
        value = str(item.value).removeprefix(self.before)
        return f"{item.type},{value if value.endswith('=') else shlex.quote(value) if value else value}"


SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete what gpdata takes.

    Commands and options, directories, formats; of the lake that stands on the line (or GPDATA_LAKE): its config keys
    after --by and --where, their values, and the uuids of its runs.

    \b
    bash, in ~/.bashrc:
        eval "$(gpdata completion bash)"
    zsh, in ~/.zshrc, after compinit:
        eval "$(gpdata completion zsh)"
    fish, once:
        gpdata completion fish > ~/.config/fish/completions/gpdata.fish

    Open a new shell then, and try: gpdata success my-lake --by, a blank, and the Tab key.
    """  # noqa: D301 (click wants a real \b)
    root = ctx.find_root()
    click.echo(SHELLS[shell](root.command, {}, "gpdata", VARIABLE).source(), nl=False)
