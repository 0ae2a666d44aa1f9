"""What a plan would do, told to somebody who has to say yes: attribute by attribute, and permissions in words."""
