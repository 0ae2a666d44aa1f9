"""What a page about a stack shows: gathered from both sides, side by side, and never changed."""
