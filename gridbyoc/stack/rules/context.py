"""What rules need to know beside the document."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.stack.document import Document
from gridbyoc.stack.regions import partition_of


@dataclass(frozen=True, slots=True)
class RuleContext:
    """``base`` is the directory that paths are relative to, ``partition`` the one that ARNs must be of, if known."""

    base: Path
    home: Path
    partition: str | None = None
    account_id: str | None = None

    @staticmethod
    def of(document: Document, base: Path, home: Path, default_region: str) -> RuleContext:
        """The context that a document gives."""
        region = document.text("aws", "region") or default_region
        return RuleContext(base, home, partition_of(region), document.text("aws", "account_id"))

    def path(self, text: str) -> Path:
        """A path as the stack file writes it, made absolute: ``~/`` is the home, the rest is relative to the file."""
        given = self.home / text[2:] if text.startswith("~/") else Path(text)
        return Path(os.path.normpath(self.base / given))

    def is_dir(self, text: str) -> bool:
        """Whether the path leads to a directory; a path that the system cannot even ask for leads nowhere."""
        return os.path.isdir(self.path(text))  # noqa: PTH112 - Path.is_dir raises for over-long names

    def is_file(self, text: str) -> bool:
        """Whether the path leads to a regular file: a pipe or a device could hold the run up."""
        return os.path.isfile(self.path(text))  # noqa: PTH113 - as above
