"""Shapes on disk and as tensors: prepared, kept, checked, drawn from."""
