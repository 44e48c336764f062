"""Meshes as people make them: read from a file, cleaned, judged, normalised."""

from tpl.meshes.cleaning import CleanMesh, QualityCard, clean_mesh
from tpl.meshes.normalization import MeshError, Normalization
from tpl.meshes.reading import load_mesh

__all__ = ["CleanMesh", "MeshError", "Normalization", "QualityCard", "clean_mesh", "load_mesh"]
