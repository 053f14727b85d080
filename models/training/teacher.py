"""The teacher of the distillation: YOLOX-Nano (Apache-2.0, trained on COCO), run by ONNX Runtime.

The published ONNX file ends in a reshape that fixes it to 416 px. Its three maps before that, [B, 85, H, W] at
strides 8, 16 and 32, have no such tie: cut off there, it takes any picture whose sides are multiples of 32, and at
our picture size its grid is exactly ours. Objectness and classes have already passed the sigmoid; class 0 is person.
The features that its head starts from, [B, 64, H, W] per stride, are handed out beside them.
"""
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from evaluate import STRIDES, cells

FEATURES = 64


class Teacher:
    def __init__(self, path, threads=1):
        model = onnx.load(path)
        graph = model.graph
        made_by = {out: n for n in graph.node for out in n.output}
        read_by = {}
        for node in graph.node:
            for name in node.input:
                read_by.setdefault(name, []).append(node)
        join = next(n for n in reversed(graph.node) if n.op_type == 'Concat')
        maps = [made_by[name].input[0] for name in join.input]
        stems = [self._stem(made_by[name], made_by, read_by) for name in maps]
        del graph.output[:]
        graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in maps + stems)
        picture = graph.input[0]
        for axis, name in ((0, 'batch'), (2, 'height'), (3, 'width')):
            picture.type.tensor_type.shape.dim[axis].dim_param = name
        del graph.value_info[:]
        wanted, nodes = set(maps), []
        for node in reversed(graph.node):       # what the maps do not need goes
            if wanted & set(node.output):
                wanted |= set(node.input)
                nodes.append(node)
        del graph.node[:]
        graph.node.extend(reversed(nodes))
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        self.session = ort.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])
        self.name = picture.name

    @staticmethod
    def _stem(map_node, made_by, read_by):
        """From a map [box, objectness, classes] up its class branch to the tensor that the box branch reads as well."""
        name = map_node.input[2]
        while True:
            node = made_by[name]
            name = node.input[0]
            if node.op_type == 'Conv' and sum(n.op_type == 'Conv' for n in read_by[name]) > 1:
                return name

    def __call__(self, pictures):
        """RGB bytes [B, S, S, 3] -> person scores [B, N], boxes x0 y0 x1 y1 [B, N, 4] in pixels, features
        [B, 64, N]; N counts the locations of stride 8, then 16, then 32, each row by row."""
        size = pictures.shape[1]
        x = np.ascontiguousarray(pictures[..., ::-1].transpose(0, 3, 1, 2), np.float32)
        out = self.session.run(None, {self.name: x})
        flat = [o.reshape(len(x), o.shape[1], -1) for o in out]
        y = np.concatenate(flat[:3], 2).transpose(0, 2, 1)
        pts, st = cells(size, size, STRIDES)
        centre = (y[..., :2] - .5) * st + pts
        half = np.exp(np.minimum(y[..., 2:4], 6)) * st / 2
        boxes = np.concatenate([centre - half, centre + half], 2)
        return y[..., 4] * y[..., 5], boxes, np.concatenate(flat[3:], 2)
