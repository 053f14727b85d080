"""Renders training pictures of other yards than the one of the evaluation clip, with exact boxes.

    blender -b -P render.py -- --yard ../media/render_yard.py --out DIR --scenes 100 --seed 1000 [--threads 1]

Runs inside Blender 3.4 and borrows the meshes, materials, people and sensor of `render_yard.py`. Every
scene draws its own light, colours and things, and is photographed from several places with new people (or
nobody) each time. Kept apart from the evaluation material: the arrangement and colours of the clip and of a
third of the stills (variant 0) are never built, and seeds below 1000 are refused.

Writes DIR/sSSSSS_K.png and DIR/sSSSSS_K.txt (YOLO: `0 cx cy w h`; an empty file: nobody). People seen to less
than 15 % are left out of the labels; their pictures are thrown away, so that no label is missing. Pictures
that exist are not rendered again.
"""
import argparse
import math
import os
import sys
import time

import bpy
import numpy as np

ap = argparse.ArgumentParser()
ap.add_argument('--yard', required=True, help='render_yard.py')
ap.add_argument('--out', required=True)
ap.add_argument('--scenes', type=int, default=100)
ap.add_argument('--seed', type=int, default=1000, help='number of the first scene, at least 1000')
ap.add_argument('--shots', type=int, default=5, help='pictures per scene')
ap.add_argument('--samples', type=int, default=8)
ap.add_argument('--threads', type=int, default=1)
a = ap.parse_args(sys.argv[sys.argv.index('--') + 1:])
if a.seed < 1000:
    ap.error('--seed below 1000 is kept for evaluation')

yard = {'__name__': 'yard', '__file__': a.yard}
exec(compile(open(a.yard).read(), a.yard, 'exec'), yard)
# Two thirds of the clip's picture size: the detector sees 320 x 320, and time goes with the pixels
W, H = yard['W'], yard['H'] = 432, 243
PIXELS_LEAST = 10       # a box lower than this is too small to learn from at 320 px


def positions(r, pos, aim, count):
    """Ground positions in view that keep 0.7 m from each other and clear of the things that are set up."""
    found = []
    for _ in range(300):
        if len(found) == count:
            break
        y = float(r.uniform(-.6, 8.1))
        middle = pos[0] + (aim[0] - pos[0]) * (y - pos[1]) / (aim[1] - pos[1])
        x = float(middle + r.uniform(-.62, .62) * (y - pos[1]))
        if y > 3.2 and not -3.4 < x < 4.2:
            continue
        if all(math.hypot(x - u, y - v) > .7 for u, v in found):
            found.append((x, y))
    return found


def paint(r, materials):
    """Other colours for the set: cars, doors, bins and walls of one colour each would be learned by heart."""
    for name, m in materials.items():
        if name in ('glass', 'black', 'tyre', 'lampglass', 'red', 'leaf', 'grass', 'bark'):
            continue
        free = name in ('paint', 'door', 'bin1', 'bin2')
        hue = r.uniform(0, 1, 3) ** (1.5 if free else .2)
        tint = hue / hue.max() * math.exp(r.uniform(-.5, .5))
        for node in m.node_tree.nodes:
            if node.type == 'VALTORGB' and name not in ('line', 'glass'):
                for e in node.color_ramp.elements:
                    base = max(e.color[:3]) if free else np.array(e.color[:3])
                    e.color = (*np.clip(base * tint, 0, 1), 1)
            elif node.type == 'BSDF_PRINCIPLED' and name == 'paint':
                node.inputs['Base Color'].default_value = (*np.clip(tint * .3, .005, .8), 1)


def look(r):
    """A random look with freer colours than those of the stills."""
    out = yard['random_look'](r)
    for part in ('top', 'legs'):
        if r.random() < .6:
            hue = r.uniform(0, 1, 3)
            level = math.exp(r.uniform(math.log(.02), math.log(.5)))
            grey = r.uniform(0, .9)
            out[part] = tuple(float(v) for v in level * (grey + (1 - grey) * hue / hue.max()))
    return out


def person(r, name, x, y):
    p = yard['Person'](name, look(r), int(r.integers(1 << 30)))
    heading = float(r.uniform(-math.pi, math.pi))
    ahead = np.array([-math.sin(heading), math.cos(heading)])
    walk = 1.0 if r.random() < .75 else 0.0
    extra = {}
    if walk == 0 and r.random() < .6:
        extra['arm1'] = dict(k=1.0, swing=float(r.uniform(15, 60)), elbow=float(r.uniform(50, 110)), abd=8)
    s = float(r.uniform(3, 5))
    start = np.array([x, y]) - ahead * s
    path = yard['spline_path']([start, start + ahead * 10])
    p.pose(yard['gait'](path, s, walk, p.S, look=float(r.uniform(-.5, .5)), shift=float(r.uniform(-1, 1)), **extra))
    return p


def scene(number):
    r = np.random.default_rng([number, 77])
    yard['clean_start']()
    yard['setup_render'](a.samples, a.threads)
    kind = ['day', 'overcast', 'day', 'dusk', 'overcast', 'night'][number % 6]
    materials, lamp_at = yard['build_yard'](r, v=1 + number % 2 + 3 * int(r.integers(9)))
    paint(r, materials)
    elev, azim = {'day': (float(r.uniform(25, 60)), float(r.uniform(130, 250))), 'overcast': (50., 190.),
                  'dusk': (float(r.uniform(4, 9)), float(r.uniform(225, 250))), 'night': (20., 180.)}[kind]
    mono = kind == 'night' and r.random() < .6
    yard['set_light']('ir' if mono else kind, lamp_at, r, elev, azim)
    view = bpy.context.scene.view_settings
    if kind in ('day', 'overcast'):
        view.exposure += float(r.uniform(-.6, .2))
    statics = [o for o in bpy.context.scene.objects if o.type == 'MESH']
    for shot in range(a.shots):
        name = os.path.join(a.out, f's{number:05d}_{shot}')
        if os.path.exists(name + '.txt'):
            continue
        t = time.time()
        r = np.random.default_rng([number, shot, 78])
        pos = (float(r.uniform(-3.5, 3.5)), float(r.uniform(-5.6, -2.6)), float(r.uniform(2.4, 4.8)))
        aim = (float(pos[0] * .3 + r.uniform(-1.5, 1.5)), 4.3, float(r.uniform(.0, .9)))
        camera = yard['Camera'](pos, aim, float(r.uniform(52, 80)))
        count = [0, 1, 2, 3, 2][shot % 5] if r.random() < .8 else 4
        people = [(j + 1, person(r, f'p{shot}_{j}', x, y)) for j, (x, y) in enumerate(positions(r, pos, aim, count))]
        bpy.context.view_layer.update()
        found = yard['Truth'](camera, statics).measure(people)[0] if people else []
        fine = all(q['visible'] >= .15 and q['box'][3] - q['box'][1] >= PIXELS_LEAST for q in found)
        if fine:
            noisy = kind == 'night'
            picture = yard['denoise'](yard['render'](a.samples), .9, .09 if noisy else .06, 2 if noisy else 1)
            gain = {'day': 1, 'overcast': 1.1, 'dusk': 1.7, 'night': 2.6}[kind] * r.uniform(.5, 1.3)
            yard['save_png'](name + '.png', yard['sensor'](picture, r, gain, mono))
            with open(name + '.txt.tmp', 'w') as f:
                for q in found:
                    x0, y0, x1, y1 = q['box']
                    centre, size = ((x0 + x1) / 2 / W, (y0 + y1) / 2 / H), ((x1 - x0) / W, (y1 - y0) / H)
                    f.write(f'0 {centre[0]:.5f} {centre[1]:.5f} {size[0]:.5f} {size[1]:.5f}\n')
            os.replace(name + '.txt.tmp', name + '.txt')
        for _, p in people:
            for ob in p.obs.values():
                bpy.data.objects.remove(ob, do_unlink=True)
        bpy.data.objects.remove(camera.o, do_unlink=True)
        verdict = 'kept' if fine else 'dropped'
        print('picture', name, kind, len(found), verdict, round(time.time() - t, 1), 's', flush=True)


os.makedirs(a.out, exist_ok=True)
for number in range(a.seed, a.seed + a.scenes):
    scene(number)
