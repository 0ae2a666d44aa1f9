"""gridbyoc: bring your own cloud, declared in one stack file."""

__version__ = "0.7.0"
