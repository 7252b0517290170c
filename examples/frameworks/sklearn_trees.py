"""scikit-learn: trees and pipelines, with every form of output that skl2onnx makes."""

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn import datasets
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tandem import WORK

OPSET = {"": 17, "ai.onnx.ml": 3}


def save(name, model):
    path = WORK / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def columns(documents, classes):
    """Makes a matrix of the documents that ZipMap gives: one object a row, from class to probability."""
    return np.array([[row[str(c)] for c in classes] for row in documents], np.float32)


def forest_with_zipmap(server, report):
    """The default of skl2onnx: a label and a sequence of maps, which Tandem hands out as JSON."""
    x, y = datasets.load_wine(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x.astype(np.float32), y, test_size=0.4, random_state=1)
    forest = RandomForestClassifier(100, random_state=1).fit(x_train, y_train)
    server.push_model("wine-forest", save("wine-forest", to_onnx(forest, x_train[:1], target_opset=OPSET)), batched=False)
    server.publish("""
graph: wine-forest
inputs: {x: "tensor FP32 [n, 13]"}
outputs: {label: score.output_label, probability: score.output_probability}
nodes:
  score: {model: wine-forest, in: {X: x}}
""")
    got = server.infer("wine-forest", x=x_test)
    report.compare("sklearn forest, ZipMap", "label", got["label"], forest.predict(x_test), 0)
    report.compare("sklearn forest, ZipMap", "probability (map)", columns(got["probability"], forest.classes_),
                   forest.predict_proba(x_test), 1e-5)
    report.at_least("sklearn forest, ZipMap", "accuracy", len(y_test), np.mean(got["label"] == y_test), 0.9)


def forest_with_tensor(server, report):
    """With zipmap=False probabilities are a tensor, so that requests share batches."""
    x, y = datasets.load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x.astype(np.float32), y, test_size=0.5, random_state=2)
    forest = RandomForestClassifier(60, random_state=2).fit(x_train, y_train)
    model = to_onnx(forest, x_train[:1], options={"zipmap": False}, target_opset=OPSET)
    server.push_model("digits-forest", save("digits-forest", model), batched=True)
    server.publish("""
graph: digits-forest
inputs: {x: "tensor FP32 [n, 64]"}
outputs: {label: score.label, probabilities: score.probabilities}
nodes:
  score: {model: digits-forest, in: {X: x}}
""")
    got = server.infer("digits-forest", x=x_test)
    report.compare("sklearn forest, tensor", "label", got["label"], forest.predict(x_test), 0)
    report.compare("sklearn forest, tensor", "probabilities", got["probabilities"], forest.predict_proba(x_test), 1e-5)
    report.at_least("sklearn forest, tensor", "accuracy", len(y_test), np.mean(got["label"] == y_test), 0.9)


def pipeline_with_strings(server, report):
    """Strings in, strings out: a categorical column, class names as labels, and a map with names as keys."""
    wine = datasets.load_wine()
    names = np.array(["barolo", "grignolino", "barbera"])[wine.target]
    strength = np.where(wine.data[:, :1] > 13, "strong", "light").astype(object)
    numbers = wine.data[:, 1:5].astype(np.float32)
    train, test = train_test_split(np.arange(len(names)), test_size=0.4, random_state=3)
    pipeline = make_pipeline(
        ColumnTransformer([("numbers", StandardScaler(), [0, 1, 2, 3]), ("words", OneHotEncoder(), [4])]),
        LogisticRegression(max_iter=500))
    table = np.hstack([numbers.astype(object), strength])
    pipeline.fit(table[train], names[train])
    kinds = [("numbers", FloatTensorType([None, 4])), ("strength", StringTensorType([None, 1]))]
    server.push_model("wine-words", save("wine-words", to_onnx(pipeline, initial_types=kinds, target_opset=OPSET)))
    server.publish("""
graph: wine-words
inputs: {numbers: "tensor FP32 [n, 4]", strength: "tensor BYTES [n, 1]"}
outputs: {label: score.output_label, probability: score.output_probability}
nodes:
  score: {model: wine-words, in: {numbers: numbers, strength: strength}}
""")
    got = server.infer("wine-words", numbers=numbers[test], strength=strength[test])
    report.compare("sklearn pipeline, strings", "label", got["label"], pipeline.predict(table[test]), 0)
    report.compare("sklearn pipeline, strings", "probability (map)", columns(got["probability"], pipeline.classes_),
                   pipeline.predict_proba(table[test]), 1e-5)


def regression(server, report):
    """One number a row."""
    x, y = datasets.load_diabetes(return_X_y=True)
    x_train, x_test, y_train, _ = train_test_split(x.astype(np.float32), y, test_size=0.4, random_state=4)
    model = GradientBoostingRegressor(random_state=4).fit(x_train, y_train)
    server.push_model("diabetes", save("diabetes", to_onnx(model, x_train[:1], target_opset=OPSET)))
    server.publish("""
graph: diabetes
inputs: {x: "tensor FP32 [n, 10]"}
outputs: {progress: score.variable}
nodes:
  score: {model: diabetes, in: {X: x}}
""")
    got = server.infer("diabetes", x=x_test)
    report.compare("sklearn boosting", "regression", got["progress"][:, 0], model.predict(x_test), 1e-3)


def run(server, report):
    for part in (forest_with_zipmap, forest_with_tensor, pipeline_with_strings, regression):
        part(server, report)
