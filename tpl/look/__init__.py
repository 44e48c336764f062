"""One look for all: figures, scenes that turn, tables."""
