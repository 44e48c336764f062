"""A mesh that others can use: parts by name, the photograph's colours, a size in metres, and files that are valid."""

from tpl.finishing.colors import Sight, bounding_box, mean_color, project_colors
from tpl.finishing.parts import PartLabels, label_faces, read_labels, thin_out, write_labels
from tpl.finishing.scene import FinishError, finish, write_finished

__all__ = [
    "FinishError",
    "PartLabels",
    "Sight",
    "bounding_box",
    "finish",
    "label_faces",
    "mean_color",
    "project_colors",
    "read_labels",
    "thin_out",
    "write_finished",
    "write_labels",
]
