"""What can be wrong with a bundle: a plan in a file, to be applied by another job."""

from __future__ import annotations

from gridbyoc.errors.base import ExitStatus, GridbyocError


class BundleError(GridbyocError):
    """A file that is no bundle, or one that is damaged, cut off, or of another version of the format."""

    code = "GBY-B001"


class BundleKeyError(GridbyocError):
    """No key where one is needed, another key than the bundle was encrypted with, or one that is too short."""

    code = "GBY-B002"
    exit_status = ExitStatus.USAGE
