"""Where things are: the committed folders and the caches that make fills."""

import os
import pathlib

MAKE = pathlib.Path(__file__).resolve().parent
EXAMPLES = MAKE.parent
MODELS = EXAMPLES / "models"
IMAGES = EXAMPLES / "images"
TEXTS = EXAMPLES / "texts"
CACHE = EXAMPLES.parent / ".cache"
FONTS = CACHE / "examples" / "fonts"
# The folder that `go run ./internal/setup ocr-models` fills, or one of your own.
OCR_MODELS = pathlib.Path(os.environ.get("OCR_MODELS", CACHE / "ocr-models" / "1.4.2"))
