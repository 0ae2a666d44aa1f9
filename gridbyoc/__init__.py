"""gridbyoc: bring your own cloud, declared in one stack file."""

__version__ = "0.7.0"

ON_PYPI = False
"""Whether ``pip install gridbyoc`` works. Set it once this version is published, then run ``make docs``.

It decides what rendered pipelines install by default, and the installation steps in README.md and docs/index.md.
"""
