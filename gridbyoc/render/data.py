"""Where the modules and the templates lie, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

from gridbyoc.errors import FileError

_PACKAGE = Path(__file__).parent.parent


def data_dir(name: str, package: Path = _PACKAGE) -> Path:
    """The directory ``modules`` or ``templates``: ``_data`` of the installed package, else the checkout's top level.

    Raises ``FileError`` where neither holds it. ``package`` is the directory of the installed package.
    """
    places = (package / "_data" / name, package.parent / name)
    for place in places:
        if place.is_dir():
            return place
    raise FileError(
        f"The directory {name} of this program is missing.",
        why=f"Neither {places[0]} nor {places[1]} is there.",
        fix="Install gridbyoc again.",
    )
