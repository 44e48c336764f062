"""Chapter 12: shapes that people made."""
