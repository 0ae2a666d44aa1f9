"""How the commands that look at an account open a scene: the stack file's, or the environment's without one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gridbyoc.cli.app import App
from gridbyoc.cli.options import default_stack_file, read_stack
from gridbyoc.cli.running import now

if TYPE_CHECKING:
    from gridbyoc.steps.preflight.scene import Scene


def open_scene(app: App, stack_file: str | None, *, url: str | None, terraform_bin: str | None = None) -> Scene:
    """A scene in which nothing has been asked yet; ``StackError`` for a stack file that is not valid."""
    from gridbyoc.control_plane import connect
    from gridbyoc.stack.model import ControlPlane
    from gridbyoc.steps.preflight.scene import Machine, set_scene
    from gridbyoc.terraform import find_binary

    found = default_stack_file(app, stack_file)
    loaded = read_stack(app, found, any_instance_type=True) if found else None
    stack = loaded.stack if loaded else None
    machine = Machine(app.environ, app.home, time.monotonic, time.sleep, now)
    work_dir = stack.work_dir(app.cwd if stack.file is None else None) if stack else app.cwd
    plane = stack.control_plane if stack else ControlPlane()
    secret = stack.role.external_id_variable if stack else None
    environ = {name: value for name, value in app.environ.items() if name != secret}
    return set_scene(
        stack,
        machine,
        work_dir=work_dir,
        find_binary=lambda: find_binary(terraform_bin, environ, directory=work_dir),
        connect=lambda: connect(plane, environ=app.environ, home=app.home, url=url),
        origin=loaded.origin if loaded else None,
    )
