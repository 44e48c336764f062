"""Where the command `tpl` begins: that of photographs does not wait for what all others import."""

import sys


def main() -> None:
    """Runs a command line; `tpl.__main__` has all commands."""
    if sys.argv[1:2] != ["reconstruct"]:
        from tpl.__main__ import main as run

        return run()
    import tyro

    from tpl.border import told_in_a_sentence
    from tpl.photos.commands import reconstruct

    with told_in_a_sentence():
        tyro.cli(reconstruct, prog="tpl reconstruct", args=sys.argv[2:])
