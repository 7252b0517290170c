"""Runs the two committed sentiment models with ONNX Runtime, through the shared preprocessing."""

import numpy
import onnxruntime

from paths import MODELS
from tokenise import encode, read_vocabulary, tokens

INPUTS = {"sentiment-a": ["ids"], "sentiment-b": ["ids", "bigrams"]}
LABELS = ["negative", "positive"]


def pad(rows, length):
    """Returns rows as one int64 array [len(rows), length], filled up with 0."""
    array = numpy.zeros((len(rows), length), numpy.int64)
    for number, row in enumerate(rows):
        array[number, : len(row)] = row
    return array


class Model:
    """One sentiment model; name is a key of INPUTS, folder holds NAME.onnx and vocab.txt."""

    def __init__(self, name, folder=MODELS):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.inputs = INPUTS[name]
        self.vocabulary = read_vocabulary(folder / "vocab.txt")
        self.session = onnxruntime.InferenceSession(
            str(folder / f"{name}.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def run(self, encoded, length=None):
        """Returns (probabilities, logits) of [(ids, bigrams), ...] in one batch, padded to length or to the longest."""
        if length is None:
            length = max((len(ids) for ids, _ in encoded), default=0)
        columns = dict(zip(("ids", "bigrams"), zip(*encoded)))
        feed = {name: pad(columns[name], length) for name in self.inputs}
        return self.session.run(["probabilities", "logits"], feed)

    def classify(self, text):
        """Returns (label, score) of one text; score is the probability of label."""
        probabilities = self.run([encode(tokens(text), self.vocabulary)])[0][0]
        best = int(probabilities.argmax())
        return LABELS[best], float(probabilities[best])

    def answer(self, text):
        """Returns classify(text) as it stands in the committed JSON files: {label, score}."""
        label, score = self.classify(text)
        return {"label": label, "score": round(score, 6)}
