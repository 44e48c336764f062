"""Weights of others, in and out: files of DeepSDF, of Deep Implicit Templates and of the paper's authors.

What a form has and ours lacks is refused by name; nothing is left out in silence, and nothing in a file is run.
"""
