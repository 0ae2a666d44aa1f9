"""What can be wrong with a bundle: a plan in a file, to be applied by another job."""

from __future__ import annotations

from gridbyoc.errors.base import ExitStatus, GridbyocError


class BundleError(GridbyocError):
    """A file that is no bundle, or one that is damaged, cut off, or of another version of the format."""

    code = "GBY-B001"
    remedy = "Make the bundle again with `gridbyoc plan --out FILE`."


class BundleKeyError(GridbyocError):
    """No key where one is needed, another key than the bundle was encrypted with, or one that is too short."""

    code = "GBY-B002"
    remedy = "Set GRIDBYOC_BUNDLE_KEY to the key of the job that made the bundle, at least 32 characters."
    exit_status = ExitStatus.USAGE
