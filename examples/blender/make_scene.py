"""Makes the scene: blender --background --factory-startup --python make_scene.py -- scene.blend [texture.png]"""

import sys

import bpy

path, *textures = sys.argv[sys.argv.index("--") + 1 :]

scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.render.resolution_x, scene.render.resolution_y = 160, 120
scene.cycles.samples = 8
scene.cycles.use_denoising = False  # Debian builds Blender without a denoiser
cube = bpy.data.objects["Cube"]
for frame, angle in ((1, 0.0), (10, 3.0)):
    cube.rotation_euler[2] = angle
    cube.keyframe_insert("rotation_euler", frame=frame)
for texture in textures:
    image = bpy.data.images.new("texture", 8, 8)
    image.filepath_raw, image.source = texture, "FILE"
    image.use_fake_user = True
bpy.ops.wm.save_as_mainfile(filepath=path)
