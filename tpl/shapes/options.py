"""Where a source finds its shapes, and how it divides them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt

Axis = Literal["+x", "-x", "+y", "-y", "+z", "-z"]


class SourceOptions(BaseModel):
    """What sources of found shapes are told; the procedural one needs nothing of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str = ""  # where ShapeNet's tree, or your own meshes, lie
    splits: str = ""  # ShapeNet: folder of DeepSDF's split files; <folder>/splits and data/splits are looked at, too
    # ShapeNet: files that DeepSDF's tools wrote (SdfSamples, ...), used instead of computed, or where there is no mesh
    preprocessed: str = ""
    views: str = ""  # ShapeNet: the authors' folders of renders, <class>/<id>/{easy,hard}
    folder_category: str = ""  # of your own meshes that lie in no folder chairs/, sofas/ or airplanes/
    up: Axis = "+y"  # of your own meshes
    front: Axis | Literal["auto"] = "auto"  # of your own meshes; auto: +z of GLB and glTF, as they say, -z of others
    # what the test split holds out: families, whole groups of them, or single shapes (of your own meshes alone)
    split_by: Literal["family", "group", "random"] = "family"
    most: NonNegativeInt = 0  # shapes of each split; 0 for all that there are
    armchairs_as_sofas: bool = False  # of the open collection: upholstered armchairs count as sofas, too
