"""Chapter 9: what the codes know."""
