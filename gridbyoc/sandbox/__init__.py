"""A local AWS and a local control plane, started and stopped together: for demonstrations and tests."""

from gridbyoc.sandbox.running import Sandbox, running_sandbox
from gridbyoc.sandbox.settings import SandboxSettings, settings_from_environ

__all__ = ["Sandbox", "SandboxSettings", "running_sandbox", "settings_from_environ"]
