"""render: what it writes, what it removes, and what it must not touch."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from gridbyoc.errors import FileError
from gridbyoc.render import Rendered, data_dir, render
from gridbyoc.stack.model import (
    Aws,
    ModuleSource,
    Role,
)
from gridbyoc.stack.secret import Secret
from tests.unit.render_stacks import MANIFEST, OURS, REGISTRY, ROOT, contents, module_at, stack


def test_the_first_render_writes_everything(tmp_path: Path) -> None:
    rendered = render(stack(), tmp_path / "w")
    assert rendered.work_dir == tmp_path / "w"
    assert set(rendered.changed) == ROOT | OURS
    assert list(rendered.changed) == sorted(rendered.changed)
    assert rendered.removed == rendered.warnings == ()
    assert contents(tmp_path / "w").keys() == ROOT | OURS | {MANIFEST}
    module = data_dir("modules") / "gridbyoc"
    for name in OURS:
        assert (tmp_path / "w" / name).read_bytes() == (module / Path(name).name).read_bytes()


def test_a_second_render_touches_nothing(tmp_path: Path) -> None:
    first = render(stack(), tmp_path)
    for path in tmp_path.rglob("*"):
        os.utime(path, (1, 1))
    assert render(stack(), tmp_path) == Rendered(tmp_path, (), (), (), first.digest)
    assert {path.stat().st_mtime for path in tmp_path.rglob("*")} == {1}


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    first = render(stack(), tmp_path)
    second = render(stack(role=Role(tags={"team": "ml"})), tmp_path)
    assert second.changed == ("terraform.tfvars.json",)
    assert second.digest == first.digest
    third = render(stack(role=Role(tags={"team": "ml"}), aws=Aws("us-west-2", "admin")), tmp_path)
    assert third.changed == ("providers.tf", "terraform.tfvars.json", "variables.tf")


def test_what_was_changed_by_hand_is_put_right(tmp_path: Path) -> None:
    render(stack(), tmp_path)
    (tmp_path / "main.tf").write_text("# mine\n")
    (tmp_path / "outputs.tf").unlink()
    assert render(stack(), tmp_path).changed == ("main.tf", "outputs.tf")


def test_everything_is_the_owners_alone(tmp_path: Path) -> None:
    work_dir = stack(file=tmp_path / "gridbyoc.yaml").work_dir()
    render(stack(role=Role(external_id=Secret("an-external-id"))), work_dir)
    home = tmp_path / ".gridbyoc"
    assert (home / ".gitignore").read_text() == "*\n"
    for path in [home, *home.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_state_and_everything_that_is_not_ours_stays(tmp_path: Path) -> None:
    render(stack(), tmp_path)
    theirs = ["terraform.tfstate", ".terraform.lock.hcl", ".terraform/x", "journal.jsonl", "logs/apply.log", "notes.md"]
    for name in theirs:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "modules/gridbyoc/notes.md").write_text("mine")
    rendered = render(stack(module=REGISTRY), tmp_path)
    assert set(rendered.removed) == OURS
    assert rendered.warnings == ()
    assert all((tmp_path / name).read_text() == name for name in theirs)
    assert (tmp_path / "modules/gridbyoc/notes.md").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["override.tf", "x.tf.json", "x.auto.tfvars.json", "terraform.tfvars", "modules/gridbyoc/x.tf"]
)
def test_a_file_made_by_hand_is_left_alone_and_warned_of(tmp_path: Path, name: str) -> None:
    render(stack(), tmp_path)
    (tmp_path / name).write_text("# mine\n")
    rendered = render(stack(), tmp_path)
    assert rendered.changed == rendered.removed == ()
    (warning,) = rendered.warnings
    assert str(tmp_path / name) in warning
    assert (tmp_path / name).read_text() == "# mine\n"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"files": 1}', '{"files": [1]}', "\xff"])
def test_a_damaged_list_of_rendered_files_is_written_anew(tmp_path: Path, text: str) -> None:
    render(stack(), tmp_path)
    good = (tmp_path / MANIFEST).read_bytes()
    (tmp_path / MANIFEST).write_text(text, encoding="latin-1")
    assert render(stack(), tmp_path).removed == ()
    assert (tmp_path / MANIFEST).read_bytes() == good


def test_a_forged_list_removes_nothing_that_is_not_in_the_work_dir(tmp_path: Path) -> None:
    work_dir = tmp_path / "w"
    render(stack(), work_dir)
    outside = tmp_path / "outside"
    kept = [outside, work_dir / "terraform.tfstate", work_dir / ".terraform" / "x"]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    names = ["../outside", str(outside), "modules/../../outside", "terraform.tfstate", ".terraform/x", "", "gone.tf"]
    (work_dir / MANIFEST).write_text(json.dumps({"files": names}))
    assert render(stack(), work_dir).removed == ()
    assert all(path.exists() for path in kept)


def test_a_render_that_broke_off_is_finished_by_the_next(tmp_path: Path) -> None:
    """A directory in the place of a file stops the render half-way, as a kill or a full disk would."""
    render(stack(), tmp_path)
    local = module_at(tmp_path / "theirs", main="# main\n", zz="# zz\n")
    custom = stack(module=ModuleSource(str(local)))
    (tmp_path / "modules" / "custom" / "zz.tf" / "in-the-way").mkdir(parents=True)
    with pytest.raises(FileError) as caught:
        render(custom, tmp_path)
    assert "zz.tf" in caught.value.what
    assert (tmp_path / "modules/custom/main.tf").exists()
    assert set(render(stack(), tmp_path).removed) == {"modules/custom/main.tf"}
    assert (tmp_path / "modules/custom/zz.tf/in-the-way").is_dir()
    shutil.rmtree(tmp_path / "modules/custom")
    assert {"modules/custom/main.tf", "modules/custom/zz.tf"} <= set(render(custom, tmp_path).changed)


def test_a_work_dir_that_is_a_file_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "w").touch()
    with pytest.raises(FileError) as caught:
        render(stack(), tmp_path / "w")
    assert caught.value.what == f"Cannot create the directory {tmp_path / 'w'}."
    assert caught.value.fix


def test_a_stale_file_that_cannot_be_removed_is_an_error_in_words(tmp_path: Path) -> None:
    render(stack(), tmp_path)
    shutil.rmtree(tmp_path / "modules")
    (tmp_path / "modules").symlink_to("modules")
    with pytest.raises(FileError, match="Cannot remove"):
        render(stack(module=REGISTRY), tmp_path)


def test_a_list_that_cannot_be_read_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(FileError, match="Cannot read"):
        render(stack(), tmp_path)
