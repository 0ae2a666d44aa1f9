"""Command lines, as python-terraform builds them; what it would do beyond that is closed off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

from python_terraform import IsFlagged, Terraform

from gridbyoc.terraform.binary import Binary

FLAG = IsFlagged  # the value of an option that has none, such as -json
T = TypeVar("T")


class _Closed:
    """A verb of the library whose flags are of another age (``destroy -force``), or that prompts."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> NoReturn:
        raise AttributeError(f"{self._name}() of python-terraform is not used here: call cmd()")


class TerraformCommandLine(Terraform, Generic[T]):  # type: ignore[misc]  # python-terraform has no types
    """One ``cmd()``: builds the argv and hands it to ``execute``, which owns the process."""

    plan = apply = destroy = init = output = _Closed()
    set_workspace = create_workspace = delete_workspace = show_workspace = _Closed()

    def __init__(self, binary: Binary, work_dir: Path, execute: Callable[[tuple[str, ...]], T]) -> None:
        super().__init__(working_dir=str(work_dir), terraform_bin_path=binary.path)
        self._argv = binary.argv
        self._execute = execute

    def __getattr__(self, name: str) -> NoReturn:
        """The library runs ``terraform <name>`` for every misspelt method; here it is an ``AttributeError``."""
        raise AttributeError(name)

    def read_state_file(self, file_path: str | None = None) -> None:
        """The library reads the state, secrets and all, at every turn; here nothing does."""

    def cmd(self, cmd: str, *args: str, **options: object) -> T:
        """Run ``terraform <cmd>``; ``options`` in python-terraform's form: ``no_color=FLAG``, ``input=False``.

        A dict is refused: it would become a temporary file of variables that outlives a crash.
        """
        if any(isinstance(value, dict) for value in options.values()):
            raise TypeError("values go to Terraform in terraform.tfvars.json")
        return self._execute((*self._argv, *self.generate_cmd_string(cmd, *args, **options)[1:]))
