"""What rules need besides the document: directories, partition and account."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.stack.document import Document
from gridbyoc.stack.regions import partition_of


@dataclass(frozen=True, slots=True)
class RuleContext:
    """``base`` is the directory for relative paths; ``partition`` the required partition of ARNs, if known."""

    base: Path
    home: Path
    partition: str | None = None
    account_id: str | None = None

    @staticmethod
    def of(document: Document, base: Path, home: Path, default_region: str) -> RuleContext:
        """The context of a document: its region's partition, and its account."""
        region = document.text("aws", "region") or default_region
        return RuleContext(base, home, partition_of(region), document.text("aws", "account_id"))

    def path(self, text: str) -> Path:
        """A path of the stack file, made absolute: ``~/`` is ``home``, any other path is relative to ``base``."""
        given = self.home / text[2:] if text.startswith("~/") else Path(text)
        return Path(os.path.normpath(self.base / given))

    def is_dir(self, text: str) -> bool:
        """Whether the path is a directory; ``False`` for an invalid path."""
        return os.path.isdir(self.path(text))  # noqa: PTH112 - Path.is_dir raises for over-long names

    def is_file(self, text: str) -> bool:
        """Whether the path is a regular file; a pipe or a device could block the run."""
        return os.path.isfile(self.path(text))  # noqa: PTH113 - as above
