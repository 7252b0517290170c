"""Checks the committed sentiment models, vectors and texts. Nothing is trained."""

import hashlib
import json
import random
import unittest

import numpy
import onnx

from paths import MODELS, TEXTS
from sentiment import INPUTS, LABELS, Model
from tokenise import MAX_TOKENS, encode, read_vocabulary, tokens

TOLERANCE = 1e-5


def read_texts():
    return [json.loads(line) for line in (TEXTS / "texts.jsonl").read_text(encoding="utf-8").splitlines()]


class Files(unittest.TestCase):
    def test_accuracy_is_of_these_files(self):
        figures = json.loads((MODELS / "accuracy.json").read_text())
        vocabulary = (MODELS / "vocab.txt").read_bytes()
        self.assertEqual(figures["vocabulary_sha256"], hashlib.sha256(vocabulary).hexdigest())
        for name in INPUTS:
            content = (MODELS / f"{name}.onnx").read_bytes()
            entry = figures["models"][f"{name}.onnx"]
            self.assertEqual(entry["sha256"], hashlib.sha256(content).hexdigest())
            self.assertEqual(entry["bytes"], len(content))
            self.assertLessEqual(len(content), 3_000_000)
            self.assertGreaterEqual(entry["accuracy"], 0.85)
            self.assertEqual(entry["accuracy"], entry["correct"] / entry["n"])

    def test_signatures(self):
        for name, inputs in INPUTS.items():
            model = onnx.load(MODELS / f"{name}.onnx")
            onnx.checker.check_model(model, full_check=True)

            def dims(value):
                return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]

            self.assertEqual([(v.name, dims(v)) for v in model.graph.input], [(i, ["batch", "seq"]) for i in inputs])
            self.assertEqual(
                [(v.name, dims(v)) for v in model.graph.output],
                [("probabilities", ["batch", 2]), ("logits", ["batch", 2])],
            )


class Tokenise(unittest.TestCase):
    def test_vectors(self):
        vocabulary = read_vocabulary(MODELS / "vocab.txt")
        vectors = json.loads((MODELS / "tokenise_vectors.json").read_text())["vectors"]
        self.assertGreaterEqual(len(vectors), 200)
        for vector in vectors:
            words = tokens(vector["text"])
            self.assertEqual(words, vector["tokens"])
            self.assertEqual(encode(words, vocabulary), (vector["ids"], vector["bigrams"]))

    def test_bytes_and_characters_agree(self):
        """Cutting the UTF-8 bytes gives the same tokens: other languages may do it that way."""
        for vector in json.loads((MODELS / "tokenise_vectors.json").read_text())["vectors"]:
            raw = vector["text"].encode("utf-8").decode("latin-1")
            self.assertEqual(tokens(raw), vector["tokens"])

    def test_limits(self):
        self.assertEqual(tokens(""), [])
        self.assertEqual(encode([], {}), ([], []))
        self.assertEqual(len(tokens("a " * (MAX_TOKENS + 1))), MAX_TOKENS)


class Models(unittest.TestCase):
    def setUp(self):
        self.models = [Model(name) for name in INPUTS]
        vocabulary = self.models[0].vocabulary
        self.encoded = [encode(tokens(row["text"]), vocabulary) for row in read_texts()]

    def test_texts(self):
        rows = read_texts()
        self.assertGreaterEqual(len(rows), 60)
        self.assertEqual(len({row["id"] for row in rows}), len(rows))
        for row in rows:
            for key, model in zip("ab", self.models):
                label, score = model.classify(row["text"])
                self.assertEqual(label, row[f"expected_{key}"]["label"], row["id"])
                self.assertAlmostEqual(score, row[f"expected_{key}"]["score"], delta=TOLERANCE, msg=row["id"])

    def test_a_row_of_a_batch_is_the_row_alone(self):
        for model in self.models:
            alone = numpy.concatenate([model.run([row])[1] for row in self.encoded])
            for order in (self.encoded, self.encoded[::-1]):
                together = model.run(order)[1]
                numpy.testing.assert_allclose(together, alone, atol=TOLERANCE)
                alone = alone[::-1]

    def test_padding_changes_nothing(self):
        for model in self.models:
            row = [encode(tokens("A fine film, not a great one."), model.vocabulary)]
            want = model.run(row)[0]
            for length in (8, 9, 64, 1024, 3000):
                numpy.testing.assert_allclose(model.run(row, length)[0], want, atol=TOLERANCE)

    def test_nothing_to_read(self):
        for model in self.models:
            empty = model.run([([], [])])[0]
            self.assertTrue(numpy.isfinite(empty).all())
            self.assertAlmostEqual(float(empty.max()), 0.5, delta=0.05)
            numpy.testing.assert_array_equal(model.run([([], [])], 7)[0], empty)
            feed = {name: numpy.zeros((0, 5), numpy.int64) for name in model.inputs}
            self.assertEqual(model.session.run(["probabilities"], feed)[0].shape, (0, 2))

    def test_outputs_belong_together(self):
        source = random.Random(3)
        for model in self.models:
            words = source.sample(sorted(model.vocabulary), 200)
            probabilities, logits = model.run([encode(words[i : i + 20], model.vocabulary) for i in range(0, 200, 20)])
            powers = numpy.exp(logits - logits.max(axis=1, keepdims=True))
            numpy.testing.assert_allclose(probabilities, powers / powers.sum(axis=1, keepdims=True), atol=TOLERANCE)

    def test_the_models_differ(self):
        probabilities = [model.run(self.encoded)[0] for model in self.models]
        self.assertGreater(float(numpy.abs(probabilities[0] - probabilities[1]).max()), 0.2)
        clear = [(i, row["meant"]) for i, row in enumerate(read_texts()) if row["meant"] in LABELS]
        for answers in probabilities:
            right = sum(LABELS[answers[i].argmax()] == meant for i, meant in clear)
            self.assertGreaterEqual(right / len(clear), 0.9)


if __name__ == "__main__":
    unittest.main()
