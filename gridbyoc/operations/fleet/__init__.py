"""Many stacks: found, ordered, run side by side as processes of their own, and remembered."""
