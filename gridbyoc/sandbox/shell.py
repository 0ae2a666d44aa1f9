"""The user's shell in a sandbox: its start-up files, and the environment that is set again after the user's own.

The user's start-up files run as always; they may set ``AWS_PROFILE``, credentials or an endpoint of a real account.
Ours run after them, and again before each prompt (direnv and similar tools set variables there). ``sh`` has nothing
that runs before a prompt: there the environment is set once, after the file that ``ENV`` names.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.sandbox.running import FOREIGN

PROMPT = "(sandbox) "
_AS_SH = {"sh": "sh", "dash": "sh", "ash": "sh", "bash": "bash", "zsh": "zsh", "fish": "fish"}


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """The command line of a shell, and variables for it besides the sandbox's own."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


def shell_command(
    user: Mapping[str, str], sandbox: Mapping[str, str], directory: Path, commands: Path, home: Path
) -> ShellCommand:
    """Write the start-up files to ``directory``; return the command that starts the shell with them.

    ``user`` is the user's environment (``SHELL``, ``ENV``, ``ZDOTDIR``), ``sandbox`` the variables that the shell must
    have, ``commands`` a directory that must be on PATH. Raises ``UsageError`` for a shell whose start-up
    files are unknown here.
    """
    program = user.get("SHELL") or "/bin/sh"
    kind = _AS_SH.get(Path(program).name)
    if kind is None:
        raise UsageError(
            f"Your shell is {program}: gridbyoc cannot mark its prompt or set variables after its files.",
            fix="Choose one of bash, zsh, fish and sh, such as `SHELL=/bin/bash gridbyoc sandbox shell`.",
            rerun=SAFE_NOTHING_DONE,
        )
    directory.mkdir(mode=0o700, exist_ok=True)
    if kind == "fish":
        profiles = directory / "aws-config"
        profiles.write_text("[default]\n")
        (directory / "env.fish").write_text(_fish({**sandbox, "AWS_CONFIG_FILE": str(profiles)}, commands))
        return ShellCommand((program, "--init-command", f"source {shlex.quote(str(directory / 'env.fish'))}", "-i"), {})
    ours = directory / "env.sh"
    ours.write_text(_posix(sandbox, commands))
    if kind == "bash":
        file = directory / "bashrc"
        file.write_text(_BASH.format(theirs=shlex.quote(str(home / ".bashrc")), ours=shlex.quote(str(ours)), **_MARK))
        return ShellCommand((program, "--rcfile", str(file), "-i"), {})
    if kind == "zsh":
        theirs = user.get("ZDOTDIR") or str(home)
        for name, text in (("zshenv", _ZSHENV), ("zshrc", _ZSHRC)):
            filled = text.format(
                theirs=shlex.quote(theirs), dots=shlex.quote(str(directory)), ours=shlex.quote(str(ours)), **_MARK
            )
            (directory / f".{name}").write_text(filled)
        return ShellCommand((program, "-i"), {"ZDOTDIR": str(directory)})
    file = directory / "shrc"
    file.write_text(_SH.format(theirs=shlex.quote(user.get("ENV", "")), ours=shlex.quote(str(ours)), **_MARK))
    return ShellCommand((program, "-i"), {"ENV": str(file)})


_MARK = {"prompt": PROMPT}


def _posix(sandbox: Mapping[str, str], commands: Path) -> str:
    """Set the variables, and unset every other one that leads to a service."""
    kept = "|".join(sorted(name for name in sandbox if name.startswith(FOREIGN)))
    pattern = "|".join(f"{prefix}[A-Za-z0-9_]*" for prefix in FOREIGN)
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sandbox.items())
    return (
        f"for _gridbyoc_name in $(env | sed -n -E 's/^({pattern})=.*/\\1/p'); do\n"
        f'  case "$_gridbyoc_name" in {kept}) ;; *) unset "$_gridbyoc_name" ;; esac\n'
        f"done\n{exports}unset _gridbyoc_name\n"
        f'case ":$PATH:" in *:{commands}:*) ;; *) export PATH={shlex.quote(str(commands))}:"$PATH" ;; esac\n'
    )


_BASH = """\
[ -r {theirs} ] && . {theirs}
_gridbyoc_sandbox() {{
  local status=$?
  . {ours}
  case "$PS1" in "{prompt}"*) ;; *) PS1="{prompt}$PS1" ;; esac
  return "$status"
}}
case "$(declare -p PROMPT_COMMAND 2>/dev/null)" in
"declare -a"*) PROMPT_COMMAND+=(_gridbyoc_sandbox) ;;
*) PROMPT_COMMAND="${{PROMPT_COMMAND:+$PROMPT_COMMAND
}}_gridbyoc_sandbox" ;;
esac
_gridbyoc_sandbox
"""

_ZSHENV = """\
ZDOTDIR={theirs}
[[ -r "$ZDOTDIR/.zshenv" ]] && source "$ZDOTDIR/.zshenv"
_gridbyoc_zdotdir="${{ZDOTDIR:-$HOME}}"
ZDOTDIR={dots}
"""

_ZSHRC = """\
ZDOTDIR="$_gridbyoc_zdotdir"
[[ "$HISTFILE" == {dots}/* ]] && HISTFILE="$ZDOTDIR/${{HISTFILE:t}}"
[[ -r "$ZDOTDIR/.zshrc" ]] && source "$ZDOTDIR/.zshrc"
_gridbyoc_sandbox() {{
  local _gridbyoc_status=$?
  source {ours}
  [[ "$PROMPT" == "{prompt}"* ]] || PROMPT="{prompt}$PROMPT"
  return "$_gridbyoc_status"
}}
precmd_functions+=(_gridbyoc_sandbox)
_gridbyoc_sandbox
"""

_SH = """\
_gridbyoc_theirs={theirs}
[ -n "$_gridbyoc_theirs" ] && [ -r "$_gridbyoc_theirs" ] && . "$_gridbyoc_theirs"
unset _gridbyoc_theirs ENV
. {ours}
PS1="{prompt}${{PS1:-$ }}"
"""

_FISH = """\
function _gridbyoc_sandbox --on-event fish_prompt
    for name in (set --names --export | string match --regex '^(?:{prefixes}).*')
        contains -- $name {kept}; and continue
        set --erase --global $name
        contains -- $name (set --names --universal --export); or continue
        set --global --export $name ''
        string match --quiet '*PROFILE' $name; and set $name default
    end
{exports}    contains -- '{commands}' $PATH; or set --global --export PATH '{commands}' $PATH
end
_gridbyoc_sandbox
functions --query fish_prompt; or function fish_prompt; echo '> '; end
functions --copy fish_prompt _gridbyoc_fish_prompt
function _gridbyoc_status; return $argv[1]; end
function fish_prompt
    set --local before $status
    echo -n '{prompt}'
    _gridbyoc_status $before
    _gridbyoc_fish_prompt
end
"""


def _fish(sandbox: Mapping[str, str], commands: Path) -> str:
    """The same for fish. A universal variable outlives the shell and must stay as it is: an exported one hides it."""
    exports = "".join(f"    set --global --export {name} {_fish_quoted(value)}\n" for name, value in sandbox.items())
    kept = " ".join(name for name in sandbox if name.startswith(FOREIGN))
    return _FISH.format(prefixes="|".join(FOREIGN), kept=kept, exports=exports, prompt=PROMPT, commands=commands)


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
