"""The book as a thing: its chapters are paired, executed, published, and made into pages."""
