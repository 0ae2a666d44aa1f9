"""Present a plan to its approver: changes by attribute, and permissions in words."""
