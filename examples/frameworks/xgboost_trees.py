"""XGBoost: two classes, many classes, regression, and a classifier inside a scikit-learn pipeline."""

import numpy as np
import xgboost
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as BoostTensor
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost as converter
from skl2onnx import to_onnx, update_registered_converter
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from sklearn import datasets
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sklearn_trees import OPSET, columns, save

PARAMETERS = {"n_estimators": 80, "max_depth": 4, "random_state": 5, "n_jobs": 2}


def split(load):
    x, y = load(return_X_y=True)
    return train_test_split(x.astype(np.float32), y, test_size=0.4, random_state=5)


def classifier(server, report, name, load):
    x_train, x_test, y_train, y_test = split(load)
    model = xgboost.XGBClassifier(**PARAMETERS).fit(x_train, y_train)
    width = x_train.shape[1]
    onnx = convert_xgboost(model, initial_types=[("x", BoostTensor([None, width]))], target_opset=15)
    server.push_model(name, save(name, onnx))
    server.publish(f"""
graph: {name}
inputs: {{x: "tensor FP32 [n, {width}]"}}
outputs: {{label: score.label, probabilities: score.probabilities}}
nodes:
  score: {{model: {name}, in: {{x: x}}}}
""")
    got = server.infer(name, x=x_test)
    report.compare(f"XGBoost {name}", "label", got["label"], model.predict(x_test), 0)
    report.compare(f"XGBoost {name}", "probabilities", got["probabilities"], model.predict_proba(x_test), 1e-5)
    report.at_least(f"XGBoost {name}", "accuracy", len(y_test), np.mean(got["label"] == y_test), 0.9)


def regression(server, report):
    x_train, x_test, y_train, _ = split(datasets.load_diabetes)
    model = xgboost.XGBRegressor(**PARAMETERS).fit(x_train, y_train)
    onnx = convert_xgboost(model, initial_types=[("x", BoostTensor([None, 10]))], target_opset=15)
    server.push_model("progress", save("progress", onnx))
    server.publish("""
graph: progress
inputs: {x: "tensor FP32 [n, 10]"}
outputs: {progress: score.variable}
nodes:
  score: {model: progress, in: {x: x}}
""")
    got = server.infer("progress", x=x_test)
    report.compare("XGBoost regression", "regression", got["progress"][:, 0], model.predict(x_test), 1e-3)


def pipeline(server, report):
    """Inside a pipeline skl2onnx does the export, and its ZipMap comes with it. The step before the trees only selects: one that
    computes, such as a scaler, rounds differently in scikit-learn, and a value that lies on a split takes another branch."""
    update_registered_converter(
        xgboost.XGBClassifier, "XGBoostXGBClassifier", calculate_linear_classifier_output_shapes, converter,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]})
    x_train, x_test, y_train, _ = split(datasets.load_wine)
    model = make_pipeline(SelectKBest(k=8), xgboost.XGBClassifier(**PARAMETERS)).fit(x_train, y_train)
    server.push_model("boosted-pipeline", save("boosted-pipeline", to_onnx(model, x_train[:1], target_opset=OPSET)))
    server.publish("""
graph: boosted-pipeline
inputs: {x: "tensor FP32 [n, 13]"}
outputs: {label: score.output_label, probability: score.output_probability}
nodes:
  score: {model: boosted-pipeline, in: {X: x}}
""")
    got = server.infer("boosted-pipeline", x=x_test)
    report.compare("XGBoost in a pipeline, ZipMap", "label", got["label"], model.predict(x_test), 0)
    report.compare("XGBoost in a pipeline, ZipMap", "probability (map)", columns(got["probability"], model.classes_),
                   model.predict_proba(x_test), 1e-5)


def run(server, report):
    classifier(server, report, "tumours", datasets.load_breast_cancer)
    classifier(server, report, "digits", datasets.load_digits)
    regression(server, report)
    pipeline(server, report)
