"""Chapter 10: what a template carries from shape to shape."""
