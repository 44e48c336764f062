"""The command of other people's weights: weights."""

from pathlib import Path
from typing import Annotated, Literal

import tyro


def weights(
    action: tyro.conf.Positional[Literal["import", "export"]],
    folder: tyro.conf.Positional[Path],
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    checkpoint: str = "latest",
    codes: Path | None = None,
    encoder: Path | None = None,
) -> None:
    """Read networks of Deep Implicit Templates or of the paper's authors, or write ours in their form.

    Nothing in a file is run. What a network has and ours lacks is refused by name.

    Args:
        action: import: theirs to ours; export: a phase 1 of ours to theirs.
        folder: import: the experiment, with specs.json, ModelParameters and LatentCodes; export: a run folder,
            such as runs/quick/chairs/embedding.
        output: import: a category's folder of trainings, such as runs/theirs/chairs; export: the experiment.
        checkpoint: import: which of its checkpoints; the newest where there is no latest.pth.
        codes: import: other codes than its own: LatentCodes/*.pth, a folder Codes, or the authors' .pkl.
        encoder: import: a file with an encoder, if not its own.
    """
    from tpl.weights.experiments import export_experiment, import_experiment, read_experiment  # torch takes seconds

    if action == "export":
        print(f"{export_experiment(folder, output)}: specs.json, ModelParameters, LatentCodes")
        return
    experiment = read_experiment(folder, checkpoint, codes, encoder)
    print(*import_experiment(experiment, output), sep="\n")
