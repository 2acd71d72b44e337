"""What runs inside Blender: three functions that the adaptor calls."""

import os

import bpy

from openjd_adapt.client import Client

client = Client()


@client.action
def version():
    return bpy.app.version_string


@client.action
def open_scene(path):
    if not os.path.isfile(path):
        raise FileNotFoundError("the scene %s is missing" % path)
    bpy.ops.wm.open_mainfile(filepath=path)
    for image in bpy.data.images:
        file = os.path.realpath(client.map_path(bpy.path.abspath(image.filepath)))
        if image.source == "FILE" and not image.packed_file and not os.path.isfile(file):
            raise FileNotFoundError("the texture %s of %s is missing" % (file, image.name))
        image.filepath = file


@client.action
def render(frame, path, samples=None):
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    if samples:
        scene.cycles.samples = samples
    scene.frame_set(frame)
    scene.render.filepath = path
    scene.render.image_settings.file_format = "PNG"
    bpy.ops.render.render(write_still=True)


client.serve_forever()
