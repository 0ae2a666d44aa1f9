"""``gridbyoc login`` and ``gridbyoc context``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.completion import complete_cluster
from gridbyoc.cli.next_step import after_login
from gridbyoc.cli.options import command, default_stack_file, pass_app
from gridbyoc.cli.plane import plane_of, plane_options, registrar_of, secret_from_file
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.sandbox_mark import check_own_login

if TYPE_CHECKING:
    from gridbyoc.stack.model import DialectName
    from gridbyoc.stack.secret import Secret


@dataclass(frozen=True, slots=True)
class StoredLogin:
    """The logged-in account, and the files that hold its id and key."""

    name: str
    user_id: str
    default_cluster: str | None
    files: list[str]


class LoginBody(TypedDict):
    """The account's id, its default cluster, and the files that hold id and key."""

    user_id: str
    default_cluster: str | None
    files: list[str]


def _login_json(done: StoredLogin) -> LoginBody:
    return {"user_id": done.user_id, "default_cluster": done.default_cluster, "files": done.files}


def _write_login(done: StoredLogin, screen: Screen) -> None:
    screen.line(f"Logged in as {done.name} ({done.user_id}); stored in {', '.join(done.files)}.")


LOGIN = Output("login", _login_json, _write_login, stack="none")


@dataclass(frozen=True, slots=True)
class Context:
    """The default cluster's id; also its name and the file that stores it if this command set it."""

    id: str | None
    name: str | None = None
    file: str | None = None


class ContextBody(TypedDict):
    """The default cluster's id, ``null`` if none is set; ``name`` and ``file`` if this command set it."""

    context: str | None
    name: str | None
    file: str | None


def _context_json(found: Context) -> ContextBody:
    return {"context": found.id, "name": found.name, "file": found.file}


def _write_context(found: Context, screen: Screen) -> None:
    if found.file:
        screen.line(f"The default cluster is {found.name} ({found.id}); stored in {found.file}.")
    else:
        screen.line(found.id or "No default cluster is set.")


CONTEXT = Output("context", _context_json, _write_context, stack="none")


@command("login")
@click.option("--username", default=None, help="The account's user name (default: $GRID_USERNAME, or asked).")
@click.option("--key-file", default=None, metavar="FILE", help="A file that holds the API key; - is standard input.")
@click.option("--key-stdin", is_flag=True, help="Read the API key from standard input.")
@plane_options
@pass_app
def login(
    app: App,
    username: str | None,
    key_file: str | None,
    key_stdin: bool,
    stack_file: str | None,
    url: str | None,
    dialect: DialectName | None,
) -> None:
    """Exchange a user name and an API key for the account's id, and store id and key.

    They are stored where the service's own client stores them: ~/.grid/credentials.json (or
    ~/.lightning/credentials.json), readable only by you. The key comes from --key-file, --key-stdin, $GRID_API_KEY
    ($LIGHTNING_API_KEY), or a prompt without echo; never from the command line, where others could see it.
    """
    from gridbyoc.control_plane import log_in
    from gridbyoc.vendors import facts_of

    check_own_login(app.environ)
    plane = plane_of(app, stack_file, dialect)
    if key_file and key_stdin:
        raise UsageError("--key-file and --key-stdin cannot go together.", rerun=SAFE_NOTHING_DONE)
    names = facts_of(plane.api).client.variables
    given = app.environ.get(names.username or "GRID_USERNAME", "").strip()
    name = username or given or _asked(app, "User name", "--username")
    key = _key(app, "-" if key_stdin else key_file, names.api_key)
    done = log_in(plane, username=name, api_key=key, environ=app.environ, home=app.home, url=url)
    files = [str(path) for path in done.files]
    app.show(LOGIN, StoredLogin(name, done.user_id, done.default_cluster_id, files))
    if app.environ.get(names.api_key) and app.environ.get(names.user_id):
        app.note(f"warning: {names.api_key} and the user id in the environment override what was just stored.")
    after_login(app, default_stack_file(app, stack_file))


def _key(app: App, path: str | None, variable: str) -> Secret:
    from gridbyoc.stack.secret import Secret

    if path is not None:
        return secret_from_file(app, path, "API key")
    value = app.environ.get(variable, "").strip() or _asked(app, "API key", "--key-file", hidden=True)
    return Secret(value)


def _asked(app: App, question: str, option: str, *, hidden: bool = False) -> str:
    if not app.interactive:
        raise UsageError(
            f"No {question.lower()} was given, and there is no terminal to ask on.",
            fix=f"Give it with {option} or in the environment.",
            rerun=SAFE_NOTHING_DONE,
        )
    answer = app.prompt(question, hidden=hidden).strip()
    if not answer:
        raise UsageError(f"No {question.lower()} was given.", rerun=SAFE_NOTHING_DONE)
    return answer


@command("context")
@click.argument("name", required=False, shell_complete=complete_cluster)
@plane_options
@pass_app
def context(app: App, name: str | None, stack_file: str | None, url: str | None, dialect: DialectName | None) -> None:
    """Make the cluster NAME the default one of the service's own client; without NAME, show the default.

    Its id is stored in ~/.grid/settings.json. GRID_CLUSTER_ID in the environment overrides it.
    """
    from gridbyoc.control_plane import context_of, current_context, set_context

    plane = plane_of(app, stack_file, dialect)
    kept = context_of(plane.api, app.home)
    if name is None:
        app.show(CONTEXT, Context(current_context(kept, app.environ)))
        return
    check_own_login(app.environ)
    done = set_context(registrar_of(app, plane, url), kept, name, environ=app.environ)
    app.show(CONTEXT, Context(done.cluster.id, done.cluster.name, str(done.file)))
    if done.overridden_by:
        app.note(f"warning: {kept.variable}={done.overridden_by} in the environment overrides it.")
