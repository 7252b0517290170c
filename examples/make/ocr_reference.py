"""Reads the lines of an image with PP-OCRv4: an implementation to check the Go plugins against, independent of them.

    ocr_reference.py           read every image of examples/images, write reference.json, print the character error rate
    ocr_reference.py FILE...   read these images and print their lines

Run through `make -C examples/make reference`. The steps and their numbers are those of PP-OCR's own tools:

detect     the image, in BGR order, is scaled so that its longer side is at most 960 (never up), both sides to the
           nearest multiple of 32 (at least 32); (x / 255 - mean) / deviation; the model answers with a heat map
boxes      heat > 0.3 gives regions; each region's smallest rectangle, at least 3 wide and high; kept when the mean heat
           inside it is 0.6 or more; grown on every side by area * 1.5 / perimeter; scaled back to the image
cut        every box is turned upright; a box 1.5 times as high as wide is read sideways
turn       of a crop more than eight times as wide as high only the start of that length; scaled to height 48 and width
           min(192, the width at that height), (x / 255 - 0.5) / 0.5, filled up to 192 with 0 on the right; turned round
           when the probability of 180 degrees is over 0.9
recognise  scaled to height 48, width ceil(48 * w / h), same normalisation; the best class of each step, repeats merged,
           blanks dropped; confidence is the mean of the kept steps' probabilities; lines under 0.5 are dropped

scaling    areas are averaged to shrink; the detector's input is enlarged linearly, crops by cubic convolution
           (a = -0.75)

Two things are not left to chance, because measuring showed that they matter:
- A whole line squeezed into 48 x 192 is not legible. Of the 202 lines of examples/images, each looked at upright and
  upside down, 16 upside-down ones stayed under 0.9 and 6 upright ones came over 0.5; with the start of the line,
  squeezed by no more than two, it was 0 and 1.
- With crops enlarged linearly the recogniser reads the letters but loses a third of the spaces between words (467 of
  707 were read), with cubic convolution next to none (697 of 707), and the sentiment models need words.
"""

import json
import math
import pathlib
import sys

import cv2
import numpy
import onnxruntime
from PIL import Image

import sentiment
import textual
from paths import IMAGES, OCR_MODELS

DETECT = "ch_PP-OCRv4_det_infer.onnx"
TURN = "ch_ppocr_mobile_v2.0_cls_infer.onnx"
RECOGNISE = "ch_PP-OCRv4_rec_infer.onnx"
KEYS = "ppocr_keys_v1.txt"

MAX_SIDE = 960
MEAN = numpy.array([0.485, 0.456, 0.406], numpy.float32)
DEVIATION = numpy.array([0.229, 0.224, 0.225], numpy.float32)
HEAT = 0.3
BOX_SCORE = 0.6
UNCLIP = 1.5
MIN_SIDE = 3
MAX_BOXES = 1000
TURNED = 0.9
TURN_ASPECT = 8
CONFIDENCE = 0.5


class Reader:
    """The three models and the characters that the recogniser knows; folder holds their files."""

    def __init__(self, folder=OCR_MODELS):
        def session(name):
            return onnxruntime.InferenceSession(str(folder / name), providers=["CPUExecutionProvider"])

        self.detector, self.turner, self.recogniser = session(DETECT), session(TURN), session(RECOGNISE)
        keys = (folder / KEYS).read_text(encoding="utf-8").split("\n")
        self.characters = ["", *keys, " "]

    def read(self, image):
        """Returns the lines of a BGR image in reading order: [{box, text, confidence, turned}]."""
        lines = []
        for box in reading_order(self.detect(image)):
            crop = cut(image, box)
            turned = self.turn_score(crop) > TURNED
            text, confidence = self.recognise(numpy.rot90(crop, 2) if turned else crop)
            if confidence >= CONFIDENCE:
                lines.append({"box": box, "text": text, "confidence": confidence, "turned": turned})
        return lines

    def detect(self, image):
        """Returns the boxes of an image, each four [x, y] corners clockwise from the top left."""
        height, width = image.shape[:2]
        factor = min(1, MAX_SIDE / max(height, width))
        size = [max(32, 32 * math.floor(side * factor / 32 + 0.5)) for side in (width, height)]
        pixels = scale(image, size, cv2.INTER_LINEAR).astype(numpy.float32) / 255
        tensor = ((pixels - MEAN) / DEVIATION).transpose(2, 0, 1)[None]
        heat = self.detector.run(None, {"x": tensor})[0][0, 0]
        return boxes_of(heat, width, height)

    def turn_score(self, crop):
        """Returns the probability that a crop is upside down."""
        start = crop[:, : TURN_ASPECT * crop.shape[0]]
        tensor = normalised(start, min(192, width_at_48(start)))
        padding = ((0, 0), (0, 0), (0, 0), (0, 192 - tensor.shape[3]))
        return float(self.turner.run(None, {"x": numpy.pad(tensor, padding)})[0][0, 1])

    def recognise(self, crop):
        """Returns the text of a crop and its confidence, 0 when there is none."""
        steps = self.recogniser.run(None, {"x": normalised(crop, width_at_48(crop))})[0][0]
        classes = steps.argmax(axis=1)
        kept = [i for i, best in enumerate(classes) if best and (i == 0 or classes[i - 1] != best)]
        text = "".join(self.characters[classes[i]] for i in kept)
        return text, float(numpy.mean([steps[i, classes[i]] for i in kept])) if kept else 0.0


def scale(image, size, enlarge):
    """Returns an image scaled to (width, height): areas are averaged to shrink it, `enlarge` is used otherwise."""
    smaller = size[1] < image.shape[0]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else enlarge)


def width_at_48(crop):
    """Returns the width of a crop that is scaled to height 48, rounded up."""
    return max(1, math.ceil(48 * crop.shape[1] / crop.shape[0]))


def normalised(crop, width):
    """Returns a crop as the [1, 3, 48, width] tensor of the turn and recognition models."""
    pixels = scale(crop, (width, 48), cv2.INTER_CUBIC).astype(numpy.float32)
    return ((pixels / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]


def boxes_of(heat, width, height):
    """Returns the boxes that a heat map shows, in the coordinates of a width x height image."""
    contours, _ = cv2.findContours((heat > HEAT).astype(numpy.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for contour in contours[:MAX_BOXES]:
        centre, (across, along), angle = cv2.minAreaRect(contour)
        if min(across, along) < MIN_SIDE:
            continue
        rectangle = corners((centre, (across, along), angle))
        if score(heat, rectangle) < BOX_SCORE:
            continue
        grow = across * along * UNCLIP / (across + along)  # on both sides: twice area * 1.5 / perimeter
        grown = corners((centre, (across + grow, along + grow), angle))
        scaled = grown * numpy.array([width / heat.shape[1], height / heat.shape[0]], numpy.float32)
        box = numpy.clip(numpy.rint(scaled), 0, [width, height]).astype(int)
        if min(numpy.linalg.norm(box[0] - box[1]), numpy.linalg.norm(box[0] - box[3])) > MIN_SIDE:
            boxes.append(box.tolist())
    return boxes


def corners(rectangle):
    """Returns a rectangle's corners clockwise from the top left."""
    points = sorted(cv2.boxPoints(rectangle).tolist())
    left = sorted(points[:2], key=lambda point: point[1])
    right = sorted(points[2:], key=lambda point: point[1])
    return numpy.array([left[0], right[0], right[1], left[1]], numpy.float32)


def score(heat, rectangle):
    """Returns the mean heat inside a rectangle."""
    first = numpy.clip(numpy.floor(rectangle.min(axis=0)), 0, None).astype(int)
    last = numpy.minimum(numpy.ceil(rectangle.max(axis=0)).astype(int), [heat.shape[1] - 1, heat.shape[0] - 1])
    window = heat[first[1] : last[1] + 1, first[0] : last[0] + 1]
    mask = numpy.zeros(window.shape, numpy.uint8)
    cv2.fillPoly(mask, [(rectangle - first).astype(numpy.int32)], 1)
    return cv2.mean(window, mask)[0]


def reading_order(boxes):
    """Returns boxes row by row, left to right.

    A box belongs to the row above when its middle is less than half a line's height below the middle of that row's
    first box; of both boxes the lower height counts.
    """
    rows = []
    for box in sorted(boxes, key=middle):
        if rows and middle(box) - middle(rows[-1][0]) < min(height(box), height(rows[-1][0])) / 2:
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row)]


def middle(box):
    """Returns the y of a box's middle."""
    return sum(y for _, y in box) / 4


def height(box):
    """Returns the length of a box's left side."""
    return math.dist(box[0], box[3])


def cut(image, box):
    """Returns the part of an image inside a box, upright."""
    points = numpy.array(box, numpy.float32)
    width = int(max(numpy.linalg.norm(points[0] - points[1]), numpy.linalg.norm(points[2] - points[3])))
    height = int(max(numpy.linalg.norm(points[0] - points[3]), numpy.linalg.norm(points[1] - points[2])))
    target = numpy.array([[0, 0], [width, 0], [width, height], [0, height]], numpy.float32)
    matrix = cv2.getPerspectiveTransform(points, target)
    crop = cv2.warpPerspective(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return numpy.rot90(crop) if height >= 1.5 * width else crop


def load(path):
    """Returns an image file as a BGR array."""
    with Image.open(path) as image:
        return numpy.asarray(image.convert("RGB"))[:, :, ::-1].copy()


def error_rate(pairs):
    """Returns the character error rate over (read lines, expected lines) pairs of normalised text."""
    wrong = wanted = 0
    for read, expected in pairs:
        got, want = textual.normalise("".join(read)), textual.normalise("".join(expected))
        wrong += textual.distance(got, want)
        wanted += len(want)
    return wrong / wanted


def main():
    reader = Reader()
    if sys.argv[1:]:
        for name in sys.argv[1:]:
            for line in reader.read(load(pathlib.Path(name))):
                print(f"{line['confidence']:.3f} {'turned ' if line['turned'] else ''}{line['box']} {line['text']}")
        return
    expected = json.loads((IMAGES / "expected.json").read_text(encoding="utf-8"))["images"]
    models = {key: sentiment.Model(f"sentiment-{key}") for key in "ab"}
    found, pairs = {}, []
    for name, wanted in expected.items():
        image = load(IMAGES / name)
        lines = reader.read(image)
        pair = [line["text"] for line in lines], wanted["lines"]
        pairs.append(pair)
        print(f"{name}: {len(lines)} boxes, error rate {error_rate([pair]) if wanted['lines'] else len(lines):.3f}")
        found[name] = {
            "width": image.shape[1],
            "height": image.shape[0],
            "lines": [{**line, "confidence": round(line["confidence"], 4)} for line in lines],
            "sentiment": {key: model.answer("\n".join(pair[0])) for key, model in models.items()},
        }
    rate = error_rate(pairs)
    print(f"character error rate over the set: {rate:.4f}")
    textual.write_json(IMAGES / "reference.json", {"character_error_rate": round(rate, 5), "images": found}, depth=5)


if __name__ == "__main__":
    main()
