"""Output: results and events as text, JSON, Markdown and HTML."""
