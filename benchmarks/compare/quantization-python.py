"""Static QDQ quantization by onnxruntime.quantization, for benchmarks/compare/quantization.mjs: the reference that
`vigie-models quantize` is measured against. Calibrates on exactly the bytes that ours saw.

Usage: quantization-python.py MODEL OUT --pictures BYTES --size W H --mean A B C --std A B C
         [--method MinMax|Entropy|Percentile] [--percentile P] [--wide]
BYTES holds the pictures as uint8 [n, 3, H, W], already resized and in the model's channel order.
"""
import argparse
import json
import pathlib
import sys
import tempfile

import numpy as np
import onnx
from onnxruntime import __version__
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Pictures(CalibrationDataReader):
    def __init__(self, path, name, width, height, mean, std):
        self.name = name
        self.pictures = np.memmap(path, np.uint8, "r").reshape(-1, 1, 3, height, width)
        self.mean = np.array(mean, np.float32).reshape(1, 3, 1, 1)
        self.std = np.array(std, np.float32).reshape(1, 3, 1, 1)
        self.next = 0

    def __len__(self):
        return len(self.pictures)

    def get_next(self):
        if self.next >= len(self.pictures):
            return None
        picture = self.pictures[self.next].astype(np.float32)
        self.next += 1
        return {self.name: ((picture - self.mean) / self.std).astype(np.float32)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--pictures", required=True)
    parser.add_argument("--size", type=int, nargs=2, required=True)
    parser.add_argument("--mean", type=float, nargs=3, required=True)
    parser.add_argument("--std", type=float, nargs=3, required=True)
    parser.add_argument("--method", default="MinMax")
    parser.add_argument("--percentile", type=float, default=99.999, help="its own default is 99.999")
    parser.add_argument("--wide", action="store_true", help="8-bit weights, as our target x64; else 7-bit, as portable")
    options = parser.parse_args()

    model = onnx.load(options.model)
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if opset < 13:  # DequantizeLinear per axis came with opset 13
        model = onnx.version_converter.convert_version(model, 13)
    with tempfile.TemporaryDirectory() as folder:
        upgraded, prepared = (str(pathlib.Path(folder) / name) for name in ("upgraded.onnx", "prepared.onnx"))
        onnx.save(model, upgraded)
        # by path: from memory it stores the weights outside and onnx refuses to read them again
        quant_pre_process(upgraded, prepared, skip_symbolic_shape=True)
        pictures = Pictures(options.pictures, model.graph.input[0].name, *options.size, options.mean, options.std)
        # Entropy and Percentile keep every activation of a run in memory: 100 MB a picture and more
        extra = {} if options.method == "MinMax" else {"CalibMaxIntermediateOutputs": 4}
        if options.method == "Percentile":
            extra["CalibPercentile"] = options.percentile
        quantize_static(
            prepared,
            options.out,
            pictures,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=not options.wide,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod[options.method],
            extra_options=extra,
        )
    json.dump({"onnxruntime": __version__, "onnx": onnx.__version__, "pictures": len(pictures)}, sys.stdout)


if __name__ == "__main__":
    main()
