"""Meshes as people make them: read from a file, cleaned, judged, normalised."""

from tpl.meshes.cleaning import CleanMesh, QualityCard, as_it_is, clean_mesh
from tpl.meshes.normalization import MeshError, Normalization
from tpl.meshes.reading import load_mesh, missing_files
from tpl.meshes.writing import check_writable, write_mesh

__all__ = [
    "CleanMesh",
    "MeshError",
    "Normalization",
    "QualityCard",
    "as_it_is",
    "check_writable",
    "clean_mesh",
    "load_mesh",
    "missing_files",
    "write_mesh",
]
