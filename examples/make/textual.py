"""How recognised text is compared with what is written on an image, and how the answers are written."""

import json


def normalise(text):
    """Returns text in lower case and without white space; nothing else is forgiven, not even 0 for O."""
    return "".join(text.lower().split())


def distance(got, want):
    """Returns the number of characters to insert, delete or change to make want of got (Levenshtein)."""
    row = list(range(len(want) + 1))
    for line, character in enumerate(got, 1):
        diagonal, row[0] = row[0], line
        for column, other in enumerate(want, 1):
            diagonal, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, diagonal + (character != other)),
            )
    return row[-1]


def write_json(path, value, depth=3):
    """Writes value as JSON with one line per item below depth levels, so that a change shows as a short diff."""
    path.write_text(_lines(value, depth, 0) + "\n", encoding="utf-8", newline="")


def _lines(value, depth, level):
    if depth == 0 or not isinstance(value, (dict, list)) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner, outer = "  " * (level + 1), "  " * level
    if isinstance(value, dict):
        items = [f"{inner}{json.dumps(key)}: {_lines(item, depth - 1, level + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{outer}}}"
    items = [f"{inner}{_lines(item, depth - 1, level + 1)}" for item in value]
    return "[\n" + ",\n".join(items) + f"\n{outer}]"
