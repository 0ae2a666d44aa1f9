"""A repository that is not ours, through the command line: refused, in which words, and what stays untouched."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e import warm_python

STACK = "version: 1\nname: demo\nclusters: [{name: demo}]\n"
PRECIOUS = "precious\n"


@dataclass(frozen=True)
class Checkout:
    """A directory with a stack file, and a file outside of it that no run may touch."""

    top: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def work_dir(self) -> Path:
        return self.top / ".gridbyoc" / "demo"

    @property
    def victim(self) -> Path:
        return self.top.parent / "victim"

    def run(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the tool; whatever it is given, it shows no traceback."""
        done = warm_python.completed(args, self.top, {**self.env, **env}, timeout=60)
        assert "Traceback" not in done.stderr
        return done

    def untouched(self) -> bool:
        """Whether the victim's file and directory are as they were."""
        return (self.victim / "file").read_text() == PRECIOUS and self.victim.stat().st_mode & 0o777 == 0o755


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    env = {name: value for name, value in os.environ.items() if name.startswith(warm_python.AT_START)}
    made = Checkout(tmp_path / "checkout", {**env, "PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")})
    made.top.mkdir()
    made.victim.mkdir(mode=0o755)
    (made.victim / "file").write_text(PRECIOUS)
    (made.top / "gridbyoc.yaml").write_text(STACK)
    return made


LINKS = {
    ".gridbyoc": "",
    ".gridbyoc/demo": "",
    ".gridbyoc/demo/run.lock": "file",
    ".gridbyoc/demo/run.lock.json": "file",
    ".gridbyoc/demo/journal.jsonl": "file",
    ".gridbyoc/demo/terraform.tfstate": "file",
    ".gridbyoc/demo/gridbyoc.tfplan": "file",
    ".gridbyoc/demo/logs": "",
    ".gridbyoc/demo/modules": "",
}
"""A link in the repository → what of the victim's it leads to."""


@pytest.mark.parametrize("link", LINKS)
def test_a_link_in_the_repository_is_refused(checkout: Checkout, link: str) -> None:
    place = checkout.top / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(checkout.victim / LINKS[link])
    done = checkout.run("render")
    assert done.returncode == 4
    assert f"error[GBY-F002]: {place} is a symbolic link" in done.stderr
    assert f"`rm {place}`" in done.stderr
    assert checkout.untouched()
    assert [path.name for path in checkout.victim.iterdir()] == ["file"]
    place.unlink()
    assert checkout.run("render").returncode == 0


def test_a_work_dir_of_the_users_choice_goes_around_the_repositorys(checkout: Checkout) -> None:
    (checkout.top / ".gridbyoc").symlink_to(checkout.victim)
    done = checkout.run("render", GRIDBYOC_WORK_ROOT=f"{checkout.top.parent}/root")
    assert done.returncode == 0
    assert checkout.untouched()
    assert Path(f"{checkout.top.parent}/root{checkout.top}/.gridbyoc/demo/main.tf").exists()


def test_a_checkout_of_another_user_works_for_root(checkout: Checkout) -> None:
    """As in a container; but not where third ones could have put something there. To anybody but root: our own."""
    assert checkout.run("render").returncode == 0
    places = [checkout.top, *checkout.top.rglob("*")]
    root = os.geteuid() == 0
    for path in places if root else []:
        os.chown(path, 1000, 1000)
    assert checkout.run("render").returncode == 0
    checkout.work_dir.chmod(0o775)
    done = checkout.run("render")
    assert done.returncode == (4 if root else 0)
    if root:
        assert "belongs to another user, and not only its owner may write to it" in done.stderr
        assert f"`chmod go-w {checkout.work_dir}`" in done.stderr


def test_the_bases_of_a_checkout_of_another_user_are_found_without_git(checkout: Checkout) -> None:
    """Git itself would refuse to say where such a repository begins; nobody asks it."""
    stack = checkout.top / "stacks" / "demo" / "gridbyoc.yaml"
    stack.parent.mkdir(parents=True)
    stack.write_text("extends: ../../base.yaml\n" + STACK)
    (checkout.top / "base.yaml").write_text("aws: {region: eu-west-1}\n")
    refused = checkout.run("validate", str(stack))
    assert refused.returncode == 2
    subprocess.run(["git", "init", "--quiet"], cwd=checkout.top, env=checkout.env, check=True)
    for path in [checkout.top, *checkout.top.rglob("*")] if os.geteuid() == 0 else []:
        os.chown(path, 1000, 1000)
    done = checkout.run("validate", str(stack))
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr
    assert "eu-west-1" in done.stdout
