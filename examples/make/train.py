"""Trains the two sentiment models, writes them as ONNX, and measures the written files on the test reviews.

Run through `make -C examples/make train`. Needs about four minutes on one core and 4 GB of memory.

    train.py           make vocab.txt, sentiment-a.onnx, sentiment-b.onnx, accuracy.json in examples/models
    train.py --holdout train on 20,000 training reviews and print the accuracy on the other 5,000, epoch by epoch;
                       this is how the settings below were chosen; the test reviews are not read
"""

import os

# Sums in a fixed order: the same seed then gives the same weights. Must be set before numpy is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import collections
import hashlib
import json

import numpy
import onnx

import network
import onnxfile
import reviews
from paths import MODELS
from sentiment import INPUTS, Model
from tokenise import BIGRAM_BUCKETS, encode, read_vocabulary

VOCABULARY = 30_000
HOLDOUT = 5_000
WORDS = network.Table(VOCABULARY, 32, drop=0.5)
SETTINGS = {
    "sentiment-a": network.Settings(tables=(WORDS,), hidden=32, epochs=10, batch=128, window_share=0.3),
    "sentiment-b": network.Settings(
        tables=(
            network.Table(VOCABULARY, 16, drop=0.5),
            network.Table(BIGRAM_BUCKETS, 16, drop=0.9),
        ),
        hidden=32,
        epochs=14,
        window_share=0.3,
    ),
}
DESCRIPTIONS = {
    "sentiment-a": "Sentiment of English reviews from the mean of word embeddings.",
    "sentiment-b": "Sentiment of English reviews from the means of word and hashed word-pair embeddings.",
}


def count_vocabulary(train):
    """Returns the lines of vocab.txt: padding, unknown, then the most frequent tokens; ties go by spelling."""
    counts = collections.Counter(word for review in train for word in review.words)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ["<pad>", "<unk>"] + [word for word, _ in ranked[: VOCABULARY - 2]]


def columns(encoded, name):
    """Returns the network's view of encoded reviews: only the rows of ids that model `name` takes."""
    return network.Ragged([row[: len(INPUTS[name])] for row in encoded])


def holdout(train, vocabulary):
    """Prints the accuracy on held-out training reviews for both models."""
    encoded = [encode(review.words, vocabulary) for review in train]
    labels = numpy.array([review.label for review in train])
    order = numpy.random.default_rng(1).permutation(len(train))
    kept, held = order[:-HOLDOUT], order[-HOLDOUT:]
    for name, settings in SETTINGS.items():
        validation = columns([encoded[i] for i in held], name)

        def report(epoch, loss, trained, name=name, validation=validation):
            share = network.accuracy(trained, validation, labels[held])
            print(f"{name} epoch {epoch:2} loss {loss:.4f} holdout {share:.4f}", flush=True)

        network.train(settings, columns([encoded[i] for i in kept], name), labels[kept], report)


def measure(name, test, vocabulary):
    """Returns the record of accuracy.json for the written file: measured with ONNX Runtime, padded batches of 64."""
    model = Model(name)
    order = sorted(range(len(test)), key=lambda i: len(test[i].words))
    right = 0
    for start in range(0, len(order), 64):
        rows = order[start : start + 64]
        probabilities = model.run([encode(test[i].words, vocabulary) for i in rows])[0]
        right += int((probabilities.argmax(axis=1) == [test[i].label for i in rows]).sum())
    content = (MODELS / f"{name}.onnx").read_bytes()
    return {
        "accuracy": right / len(test),
        "correct": right,
        "n": len(test),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def write(train, lines):
    """Trains on all training reviews, writes vocab.txt and both models, and returns the vocabulary."""
    MODELS.mkdir(exist_ok=True)
    (MODELS / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="ascii", newline="")
    vocabulary = read_vocabulary(MODELS / "vocab.txt")
    encoded = [encode(review.words, vocabulary) for review in train]
    labels = numpy.array([review.label for review in train])
    for name, settings in SETTINGS.items():

        def report(epoch, loss, _, name=name):
            print(f"{name} epoch {epoch:2} loss {loss:.4f}", flush=True)

        trained = network.train(settings, columns(encoded, name), labels, report)
        model = onnxfile.build(trained, INPUTS[name], name, DESCRIPTIONS[name])
        onnx.save(model, MODELS / f"{name}.onnx")
    return vocabulary


def record(train, test, vocabulary):
    """Writes accuracy.json and prints the figures."""
    seen = {review.text for review in train}
    unseen = [review for review in test if review.text not in seen]
    answer = {
        "command": "make -C examples/make train",
        "data": {
            "module": reviews.MODULE,
            "train": len(train),
            "test": len(test),
            "test_also_in_train": len(test) - len(unseen),
        },
        "seed": SETTINGS["sentiment-a"].seed,
        "vocabulary_sha256": hashlib.sha256((MODELS / "vocab.txt").read_bytes()).hexdigest(),
        "models": {},
    }
    for name in SETTINGS:
        figures = measure(name, test, vocabulary)
        figures["accuracy_without_reviews_also_in_train"] = round(measure(name, unseen, vocabulary)["accuracy"], 6)
        answer["models"][f"{name}.onnx"] = figures
        print(f"{name}.onnx {figures['bytes']} bytes, test accuracy {figures['accuracy']:.4f} on {figures['n']}")
    (MODELS / "accuracy.json").write_text(json.dumps(answer, indent=2) + "\n", encoding="ascii")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--holdout", action="store_true", help="choose settings without reading the test reviews")
    arguments = parser.parse_args()
    datasets = reviews.fetch()
    train = reviews.load(datasets, "train")
    if arguments.holdout:
        # The words of the held-out reviews may count for the vocabulary: it carries no labels.
        holdout(train, {line: number for number, line in enumerate(count_vocabulary(train))})
        return
    vocabulary = write(train, count_vocabulary(train))
    record(train, reviews.load(datasets, "test"), vocabulary)


if __name__ == "__main__":
    main()
