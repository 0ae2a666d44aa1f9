"""Two people: one makes the role, another registers clusters through it without any rights in AWS."""
