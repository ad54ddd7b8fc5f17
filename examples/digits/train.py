"""Trains a classifier of handwritten digits on the data that scikit-learn brings, and writes what it learnt to $MLTEAM_OUTPUT."""

import argparse
import json
import os
import time
from pathlib import Path

import joblib
import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from tqdm import tqdm

matplotlib.use("Agg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument(
        "--pause", type=float, default=0.1, help="seconds to rest after an epoch, to have something to watch"
    )
    options = parser.parse_args()
    output = Path(os.environ.get("MLTEAM_OUTPUT", "output"))
    output.mkdir(exist_ok=True)

    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        images / 16, labels, test_size=0.25, random_state=0, stratify=labels
    )
    print(f"{len(train_x)} digits to learn from, {len(test_x)} to be tested on")
    model, history = learn(train_x, train_y, test_x, test_y, options)
    report(model, test_x, test_y, history, output)


def learn(train_x, train_y, test_x, test_y, options):
    """The model after all epochs, and the accuracy on the test digits after each."""
    model = MLPClassifier(hidden_layer_sizes=(64,), learning_rate_init=options.lr, random_state=0)
    history = []
    bar = tqdm(range(options.epochs), unit="epoch")
    for epoch in bar:
        order = np.random.default_rng(epoch).permutation(len(train_x))
        for start in range(0, len(order), 64):
            batch = order[start : start + 64]
            model.partial_fit(train_x[batch], train_y[batch], classes=np.arange(10))
        history.append(accuracy_score(test_y, model.predict(test_x)))
        bar.set_postfix(loss=f"{model.loss_:.4f}", accuracy=f"{history[-1]:.4f}")
        if (epoch + 1) % 10 == 0:
            tqdm.write(f"epoch {epoch + 1}: \x1b[32maccuracy {history[-1]:.4f}\x1b[0m, loss {model.loss_:.4f}")
        time.sleep(options.pause)
    return model, history


def report(model, test_x, test_y, history, output):
    """Writes the model, a picture of the confusion matrix, and metrics.json."""
    predicted = model.predict(test_x)
    metrics = {
        "accuracy": round(accuracy_score(test_y, predicted), 4),
        "f1_macro": round(f1_score(test_y, predicted, average="macro"), 4),
        "epochs": len(history),
        "history": [round(value, 4) for value in history],
    }
    joblib.dump(model, output / "model.joblib")
    (output / "metrics.json").write_text(json.dumps(metrics, indent=2))
    display = ConfusionMatrixDisplay.from_predictions(test_y, predicted, cmap="Blues", colorbar=False)
    display.figure_.savefig(output / "confusion_matrix.png", dpi=110, bbox_inches="tight")
    print(f"accuracy {metrics['accuracy']}; wrote {', '.join(sorted(path.name for path in output.iterdir()))}")


if __name__ == "__main__":
    main()
