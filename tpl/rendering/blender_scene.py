"""Runs inside Blender (3.4 to 4.x), never in the library: renders a mesh from many cameras with Cycles.

A program of its own that knows nothing of the library; licensed as the rest of the repository (MIT, which goes
together with Blender's GPL). It needs nothing but what every Blender has, so no NumPy. Its one argument is a folder:

    job.json      cameras (a 4 x 4 matrix each, from camera to world), size, lens, sensor, samples, threads,
                  lamps (direction and strength) and sky (its light: base + slope x height)
    vertices.f32  3 numbers a vertex;    faces.i32  3 vertices a face;    colors.f32  linear RGBA a face
    0.png ...     what it writes, a file a camera: RGBA, transparent around the mesh
"""

import json
import math
import sys
from array import array
from pathlib import Path

import bpy
import mathutils


def main(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    set_render(scene, job)
    scene.collection.objects.link(bpy.data.objects.new("mesh", load_mesh(folder)))
    for lamp in job["lamps"]:
        scene.collection.objects.link(sun(**lamp))
    scene.world = sky(**job["sky"])
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.lens, camera.data.sensor_width = job["lens"], job["sensor"]
    camera.data.clip_start = 0.01
    scene.collection.objects.link(camera)
    scene.camera = camera
    for number, matrix in enumerate(job["cameras"]):
        camera.matrix_world = mathutils.Matrix(matrix)
        scene.render.filepath = str(folder / f"{number}.png")
        bpy.ops.render.render(write_still=True)


def set_render(scene, job) -> None:
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_x = render.resolution_y = job["size"]
    render.resolution_percentage = 100
    render.film_transparent = True
    render.threads_mode, render.threads = "FIXED", job["threads"]
    render.use_persistent_data = True  # the tree over the triangles is built once for all views
    render.dither_intensity = 0
    render.image_settings.file_format = "PNG"
    render.image_settings.color_mode = "RGBA"
    render.image_settings.compression = 0
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform = "Standard"  # plain sRGB: colours come out as they went in
    cycles.device = "CPU"
    cycles.samples = job["samples"]
    cycles.use_adaptive_sampling = False
    cycles.use_denoising = False
    cycles.seed = 0  # the same bytes each time
    cycles.pixel_filter_type = "BOX"  # a pixel shows what it covers, and nothing of its neighbours
    cycles.max_bounces = 4


def load_mesh(folder: Path):
    vertices, faces, colors = array("f"), array("i"), array("f")
    for values, name in ((vertices, "vertices.f32"), (faces, "faces.i32"), (colors, "colors.f32")):
        values.frombytes((folder / name).read_bytes())
    mesh = bpy.data.meshes.new("mesh")
    mesh.from_pydata(
        list(zip(vertices[::3], vertices[1::3], vertices[2::3])),  # noqa: B905
        [],
        list(zip(faces[::3], faces[1::3], faces[2::3])),  # noqa: B905
    )
    mesh.attributes.new("albedo", "FLOAT_COLOR", "FACE").data.foreach_set("color", colors)
    material = bpy.data.materials.new("matt")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    albedo = nodes.new("ShaderNodeAttribute")
    albedo.attribute_name = "albedo"
    matt, out = nodes.new("ShaderNodeBsdfDiffuse"), nodes.new("ShaderNodeOutputMaterial")
    links.new(albedo.outputs["Color"], matt.inputs["Color"])
    links.new(matt.outputs["BSDF"], out.inputs["Surface"])
    mesh.materials.append(material)
    return mesh


def sun(direction, strength):
    """A far lamp that lights a white surface which faces it as brightly as `strength`, 1 being white."""
    light = bpy.data.lights.new("sun", "SUN")
    light.energy, light.angle = math.pi * strength, math.radians(3)
    lamp = bpy.data.objects.new("sun", light)
    lamp.rotation_euler = mathutils.Vector(direction).to_track_quat("Z", "Y").to_euler()
    return lamp


def sky(base, slope):
    """Light from everywhere, brighter from above (+y): base + slope x height of the direction."""
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    nodes.clear()
    place, split = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeSeparateXYZ")
    scale, light = nodes.new("ShaderNodeMath"), nodes.new("ShaderNodeBackground")
    out = nodes.new("ShaderNodeOutputWorld")
    scale.operation = "MULTIPLY_ADD"
    scale.inputs[1].default_value, scale.inputs[2].default_value = slope, base
    links.new(place.outputs["Generated"], split.inputs["Vector"])
    links.new(split.outputs["Y"], scale.inputs[0])
    links.new(scale.outputs["Value"], light.inputs["Strength"])
    links.new(light.outputs["Background"], out.inputs["Surface"])
    light.inputs["Color"].default_value = (1, 1, 1, 1)
    return world


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
