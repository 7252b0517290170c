"""Writes a trained network as an ONNX file with int8 embedding tables.

The graph, per table: Gather the int8 rows, cast them, add them up over the sequence, scale once, divide by the number
of ids that are not 0. Row 0 is all zero, so padding adds nothing; the sums are of whole numbers and therefore exact,
whatever the padding and the batch. A column of padding is appended first, so that an empty text has something
to add up.
"""

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
IR_VERSION = 8
STEPS = 127


def quantise(table):
    """Returns (int8 table, float32 scale) with table ~ int8 * scale, the 0.01 % largest values clipped."""
    largest = numpy.quantile(numpy.abs(table), 0.9999)
    scale = numpy.float32(largest / STEPS)
    return numpy.clip(numpy.rint(table / scale), -STEPS, STEPS).astype(numpy.int8), scale


def pooling(source):
    """Returns the nodes from the model input `source` to its mean embedding, `<source>_mean`."""
    return [
        helper.make_node("Pad", [source, "one_column"], [f"{source}_padded"]),
        helper.make_node("Gather", [f"{source}_table", f"{source}_padded"], [f"{source}_rows"], axis=0),
        helper.make_node("Cast", [f"{source}_rows"], [f"{source}_steps"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", [f"{source}_steps", "axis_1"], [f"{source}_sum"], keepdims=0),
        helper.make_node("Mul", [f"{source}_sum", f"{source}_scale"], [f"{source}_scaled"]),
        helper.make_node("Equal", [f"{source}_padded", "pad_id"], [f"{source}_is_pad"]),
        helper.make_node("Not", [f"{source}_is_pad"], [f"{source}_is_token"]),
        helper.make_node("Cast", [f"{source}_is_token"], [f"{source}_ones"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", [f"{source}_ones", "axis_1"], [f"{source}_count"], keepdims=1),
        helper.make_node("Max", [f"{source}_count", "at_least"], [f"{source}_divisor"]),
        helper.make_node("Div", [f"{source}_scaled", f"{source}_divisor"], [f"{source}_mean"]),
    ]


def head(means):
    """Returns the nodes from the pooled embeddings to the outputs `logits` and `probabilities`."""
    joined = means[0] if len(means) == 1 else "embedding"
    nodes = [] if len(means) == 1 else [helper.make_node("Concat", means, [joined], axis=1)]
    return nodes + [
        helper.make_node("Gemm", [joined, "w1", "b1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["activated"]),
        helper.make_node("Gemm", ["activated", "w2", "b2"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]


def build(network, inputs, name, description):
    """Returns the checked ONNX model; inputs names the model's inputs, one per table of the network."""
    nodes = []
    weights = [
        numpy_helper.from_array(numpy.array([0, 0, 0, 1], numpy.int64), "one_column"),
        numpy_helper.from_array(numpy.array([1], numpy.int64), "axis_1"),
        numpy_helper.from_array(numpy.array(0, numpy.int64), "pad_id"),
        numpy_helper.from_array(numpy.array(1, numpy.float32), "at_least"),
    ]
    for source, table in zip(inputs, network.tables):
        steps, scale = quantise(table)
        nodes += pooling(source)
        weights.append(numpy_helper.from_array(steps, f"{source}_table"))
        weights.append(numpy_helper.from_array(numpy.array(scale), f"{source}_scale"))
    for key in ("w1", "b1", "w2", "b2"):
        weights.append(numpy_helper.from_array(getattr(network, key), key))
    graph = helper.make_graph(
        nodes + head([f"{source}_mean" for source in inputs]),
        name,
        [helper.make_tensor_value_info(source, TensorProto.INT64, ["batch", "seq"]) for source in inputs],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, ["batch", 2]) for out in ("probabilities", "logits")],
        initializer=weights,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="tandem-examples"
    )
    model.doc_string = description
    helper.set_model_props(model, {"labels": "negative,positive"})
    onnx.checker.check_model(model, full_check=True)
    return model
