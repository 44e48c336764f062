"""A real photograph as the encoder expects it, or a clear refusal; and how far it is from what was learnt."""

from tpl.photos.cutting import CutOut, cut_out
from tpl.photos.distance import PhotoDistance, distance_to_training, sentences_of_distance, training_views
from tpl.photos.framing import FRAMING, Photo, frame_photo, frame_square, preview, sight_of
from tpl.photos.masking import MaskNetwork, rembg_network
from tpl.photos.pipeline import (
    PhotoReconstruction,
    PhotoReconstructor,
    find_category,
    find_networks,
    load,
    load_reconstructor,
    prepare_photo,
    reconstruct,
)
from tpl.photos.reading import ImageError, load_photo
from tpl.shapes.packages import FetchError

__all__ = [
    "FRAMING",
    "CutOut",
    "FetchError",
    "ImageError",
    "MaskNetwork",
    "Photo",
    "PhotoDistance",
    "PhotoReconstruction",
    "PhotoReconstructor",
    "cut_out",
    "distance_to_training",
    "find_category",
    "find_networks",
    "frame_photo",
    "frame_square",
    "load",
    "load_photo",
    "load_reconstructor",
    "prepare_photo",
    "preview",
    "reconstruct",
    "rembg_network",
    "sentences_of_distance",
    "sight_of",
    "training_views",
]
