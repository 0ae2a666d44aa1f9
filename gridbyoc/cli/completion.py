"""``gridbyoc completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app
from gridbyoc.errors import UsageError


@command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@pass_app
def completion(app: App, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash: gridbyoc completion bash > ~/.local/share/bash-completion/completions/gridbyoc
    zsh:  gridbyoc completion zsh > "${fpath[1]}/_gridbyoc"
    fish: gridbyoc completion fish > ~/.config/fish/completions/gridbyoc.fish
    """
    from gridbyoc.cli.main import cli

    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f"There is no completion for {shell}.")
    app.document(found(cli, {}, "gridbyoc", "_GRIDBYOC_COMPLETE").source().rstrip("\n"))
