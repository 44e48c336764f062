"""Pictures of meshes: the views that the encoder learns from, and the look of every figure of the book."""

from tpl.rendering.cameras import FIXED, POSTER, Camera, easy_camera, hard_camera
from tpl.rendering.raycast import composite, contact_sheet, render_poster, render_view, render_views

__all__ = [
    "FIXED",
    "POSTER",
    "Camera",
    "composite",
    "contact_sheet",
    "easy_camera",
    "hard_camera",
    "render_poster",
    "render_view",
    "render_views",
]
