"""What is written back into a stack file leaves comments, order and style alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridbyoc.errors import FileError
from gridbyoc.stack.edit import changed_text, write_back

TEXT = """\
# the production stack
version: 1
name: ml-prod   # as in the wiki
aws: {region: "us-west-2", account_id: "123456789012"}
clusters:
  - name: ml-prod
    # only what the team asked for
    instance_types:
      - t2.medium
      - {name: g4dn.xlarge, overprovisioned_ondemand_count: 3}
"""


def test_nothing_to_change_changes_nothing() -> None:
    assert changed_text(TEXT, {}) == TEXT


def test_a_missing_mapping_is_made() -> None:
    assert changed_text(TEXT, {("role", "rotation"): "2"}) == TEXT + "role:\n  rotation: '2'\n"


def test_values_deep_down_are_set_and_taken_out() -> None:
    changed = changed_text(
        TEXT,
        {
            ("clusters", 0, "instance_types", 0): "t2.large",
            ("clusters", 0, "performance_profile"): "cost-saving",
            ("aws", "account_id"): None,
            ("aws", "profile"): None,
        },
    )
    assert changed == TEXT.replace("- t2.medium", "- t2.large").replace(', account_id: "123456789012"', "") + (
        "    performance_profile: cost-saving\n"
    )


@pytest.mark.parametrize("indented", [True, False])
def test_the_lists_own_indentation_is_kept(indented: bool) -> None:
    text = "a:\n  - 1\n  - 2\n" if indented else "a:\n- 1\n- 2\n"
    assert changed_text(text, {("b",): "x"}) == text + "b: x\n"


def test_the_file_keeps_its_mode_and_errors_are_words(tmp_path: Path) -> None:
    file = tmp_path / "gridbyoc.yaml"
    file.write_text(TEXT)
    file.chmod(0o644)
    write_back(file, {("role", "rotation"): "2"})
    assert "rotation: '2'" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644
    with pytest.raises(FileError, match="Cannot read"):
        write_back(tmp_path / "none.yaml", {})


def test_links_and_line_ends_are_kept(tmp_path: Path) -> None:
    file, link = tmp_path / "real.yaml", tmp_path / "gridbyoc.yaml"
    file.write_bytes(TEXT.replace("\n", "\r\n").encode())
    link.symlink_to(file)
    write_back(link, {("role", "rotation"): "2"})
    assert link.is_symlink()
    assert file.read_bytes() == (TEXT + "role:\n  rotation: '2'\n").replace("\n", "\r\n").encode()
