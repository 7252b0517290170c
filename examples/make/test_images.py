"""Checks the committed pictures against what is written on them, by reading all of them with the reference reader."""

import json
import unittest

from PIL import Image

import ocr_reference
import textual
from paths import IMAGES
from render import PICTURES


def read(name):
    return json.loads((IMAGES / name).read_text(encoding="utf-8"))


class Pictures(unittest.TestCase):
    def test_files(self):
        expected, reference = read("expected.json")["images"], read("reference.json")["images"]
        on_disk = {path.name for path in IMAGES.iterdir() if path.suffix in (".png", ".jpg", ".webp")}
        self.assertEqual(on_disk, set(PICTURES))
        self.assertEqual(list(expected), list(PICTURES))
        self.assertEqual(list(reference), list(PICTURES))
        self.assertLess(sum((IMAGES / name).stat().st_size for name in on_disk), 1_500_000)
        for name, entry in reference.items():
            with Image.open(IMAGES / name) as image:
                self.assertEqual(image.size, (entry["width"], entry["height"]), name)

    def test_what_is_written(self):
        expected = read("expected.json")["images"]
        for name, (draw, label) in PICTURES.items():
            if draw.__name__ == "empty":
                self.assertEqual(expected[name]["lines"], [])
            self.assertEqual(expected[name].get("sentiment"), label, name)

    def test_reading(self):
        expected, reference = read("expected.json")["images"], read("reference.json")
        reader = ocr_reference.Reader()
        pairs = []
        for name, entry in reference["images"].items():
            lines = reader.read(ocr_reference.load(IMAGES / name))
            self.assertEqual([line["text"] for line in lines], [line["text"] for line in entry["lines"]], name)
            self.assertEqual([line["turned"] for line in lines], [line["turned"] for line in entry["lines"]], name)
            for got, want in zip(lines, entry["lines"]):
                self.assertAlmostEqual(got["confidence"], want["confidence"], delta=0.02, msg=name)
            pairs.append(([line["text"] for line in lines], expected[name]["lines"]))
        rate = ocr_reference.error_rate(pairs)
        self.assertLessEqual(rate, 0.03)
        self.assertAlmostEqual(rate, reference["character_error_rate"], delta=0.002)

    def test_sentiment(self):
        reference = read("reference.json")["images"]
        for name, entry in read("expected.json")["images"].items():
            if "sentiment" in entry:
                for key in "ab":
                    self.assertEqual(reference[name]["sentiment"][key]["label"], entry["sentiment"], name)


class Comparison(unittest.TestCase):
    def test_distance(self):
        for got, want, distance in (
            ("", "", 0),
            ("abc", "", 3),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("O0", "00", 1),
        ):
            self.assertEqual(textual.distance(got, want), distance)

    def test_normalise(self):
        self.assertEqual(textual.normalise(" Total:\t1 438\u00a0EUR\n"), "total:1438eur")


if __name__ == "__main__":
    unittest.main()
