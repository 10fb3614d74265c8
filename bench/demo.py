"""Train on real data with fastbp and with scikit-learn: `make demo`.

The demo uses three data sets. Adult (48,842 persons of a census) is a typical table with numbers, categories and missing values; a
Pipeline that creates sparse one-hot columns is cross-validated on it. MNIST (70,000 images of digits) is large, dense and float32.
California housing (20,640 districts) is a regression problem. Both libraries do the same work, with the same pipeline, folds, seed
and number of epochs, on one thread each. In this file, `nn` is either the module `fastbp` or the module `sklearn.neural_network`;
the code is the same for both.
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import sklearn.neural_network
from numba.core.event import install_recorder
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

import fastbp
from fastbp.datasets import load_adult, load_california_housing, load_mnist

LIBRARIES = {"fastbp": fastbp, "scikit-learn": sklearn.neural_network}
MNIST_GOAL = 0.975
PICTURE = Path(__file__).parent / "results" / "demo.png"


@dataclass
class Run:
    """The result of one library for one job. `seconds` is the total training time, `losses` the loss curve of one network."""

    score: float
    seconds: float
    losses: list[float]
    seconds_per_epoch: float


@dataclass
class Job:
    """A data set and the training on it. `train(nn, advance)` returns a `Run` and calls `advance` after each fold or epoch."""

    name: str
    metric: str
    steps: int
    step: str
    clock: str  # label of the time axis in the picture
    train: Callable


# ---------------------------------------------------------------------- the three jobs


def adult(quick):
    """Predict who earns more than 50,000 dollars. The score is the cross-validated accuracy of a pipeline."""
    X, y = load_adult(return_X_y=True, as_frame=True)
    X, y = (X[:600], y[:600]) if quick else (X, y)
    folds = StratifiedKFold(2 if quick else 5, shuffle=True, random_state=0)

    def train(nn, advance):
        network = nn.MLPClassifier((64,), max_iter=2 if quick else 20, random_state=0)
        return cross_validate(make_pipeline(prepare_columns(), network), X, y, folds, lambda model: model[-1], advance)

    return Job("Adult census", "accuracy", folds.n_splits, "folds", "seconds of one fold", train)


def california_housing(quick):
    """Predict house prices. The score is the cross-validated R² of a pipeline with scaled prices."""
    X, y = load_california_housing(return_X_y=True, as_frame=True)
    X, y = (X[:600], y[:600]) if quick else (X, y)
    folds = KFold(2 if quick else 5, shuffle=True, random_state=0)  # the rows are sorted by location

    def train(nn, advance):
        network = nn.MLPRegressor(hidden_layer_sizes=(64, 32), max_iter=2 if quick else 40, random_state=0)
        model = TransformedTargetRegressor(make_pipeline(prepare_columns(), network), transformer=StandardScaler())
        return cross_validate(model, X, y, folds, lambda model: model.regressor_[-1], advance)

    return Job("California housing", "R²", folds.n_splits, "folds", "seconds of one fold", train)


def mnist(quick):
    """Classify digits in float32. The score is the accuracy on the standard test set. `advance` is called after each epoch."""
    data = load_mnist()
    X, y = (data.data / 255).astype(np.float32), data.target
    n_train, n_epochs = (1000, 2) if quick else (data.n_train, 15)

    def train(nn, advance):
        # With an integer seed, each call of partial_fit would shuffle the rows in the same way. A RandomState gives new shuffles.
        network = nn.MLPClassifier((128,), batch_size=128, random_state=np.random.RandomState(0))
        seconds = 0.0
        for _ in range(n_epochs):
            start = time.perf_counter()
            network.partial_fit(X[:n_train], y[:n_train], classes=range(10))
            seconds += time.perf_counter() - start
            advance()
        score = network.score(X[data.n_train :], y[data.n_train :])
        return Run(score, seconds, network.loss_curve_, seconds / n_epochs)

    return Job("MNIST", "accuracy", n_epochs, "epochs", "seconds of training", train)


def prepare_columns():
    """Impute and scale numeric columns; impute categorical columns and encode them as sparse one-hot columns."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")), (categories, make_column_selector(dtype_include="category"))
    )


def cross_validate(model, X, y, folds, network_of, advance):
    """Run `cross_val_score` and return a `Run`. The scorer is called once per fold and also advances the progress bar."""
    curves = []

    def score(model, X, y):
        curves.append(network_of(model).loss_curve_)
        advance()
        return model.score(X, y)

    start = time.perf_counter()
    scores = cross_val_score(model, X, y, cv=folds, scoring=score)
    seconds = time.perf_counter() - start
    return Run(scores.mean(), seconds, curves[0], seconds / sum(map(len, curves)))


# ---------------------------------------------------------------------- the demo


def main():
    parser = argparse.ArgumentParser(description="Train on real data with fastbp and with scikit-learn.")
    parser.add_argument("--quick", action="store_true", help="check that the demo runs, with few rows; the scores are meaningless")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where to save the loss curves (default: %(default)s)")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed, so that both libraries do the same work
    console = Console()
    console.print(first_use(console))
    os.environ["OMP_NUM_THREADS"] = "1"  # fastbp reads this variable at each fit
    with threadpool_limits(1):
        results = run_all([make(arguments.quick) for make in (adult, mnist, california_housing)], console)
    console.print(table(results))
    console.print(f"loss curves: {draw(results, arguments.picture)}", soft_wrap=True)
    digits = next(runs["fastbp"].score for job, runs in results if job.name == "MNIST")
    if not arguments.quick and digits < MNIST_GOAL:
        sys.exit(f"MNIST: the test accuracy is {digits:.2%}, but it should be at least {MNIST_GOAL:.1%}.")


def first_use(console):
    """Compile or load the kernels before the timing starts; return a message with the duration."""
    X, y = np.random.RandomState(0).normal(size=(20, 2)), np.arange(20) % 2
    start = time.perf_counter()
    with console.status("first use: compiling the kernels"), install_recorder("numba:compile") as compilations:
        for dtype in (np.float32, np.float64):
            fastbp.MLPClassifier(max_iter=1).fit(X.astype(dtype), y).predict(X.astype(dtype))
    seconds = time.perf_counter() - start
    if compilations.buffer:
        return f"first use: compiling the kernels took {seconds:.1f} s; they are now stored on disk"
    return f"not the first use: loading the compiled kernels from disk took {seconds:.1f} s"


def run_all(jobs, console):
    """Train all jobs with all libraries, with a progress bar for each; return pairs (job, {library: run})."""
    columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} of {task.total} {task.fields[step]}")]
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        return [(job, {name: run(job, name, progress) for name in LIBRARIES}) for job in jobs]


def run(job, library, progress):
    bar = progress.add_task(f"{job.name}, {library}", total=job.steps, step=job.step)
    return job.train(LIBRARIES[library], lambda: progress.advance(bar))


def table(results):
    """The table of scores and times."""
    table = Table(title="fastbp and scikit-learn on the same work, one thread each", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("data", no_wrap=True)
    table.add_column("score")
    for heading in ("score,\nfastbp", "score,\nsklearn", "time,\nfastbp", "time,\nsklearn", "times\nfaster"):
        table.add_column(heading, justify="right", no_wrap=True)
    for job, runs in results:
        ours, theirs = runs.values()
        scores, seconds = (f"{run.score:.4f}" for run in runs.values()), (f"{run.seconds:.1f} s" for run in runs.values())
        table.add_row(job.name, job.metric, *scores, *seconds, f"{theirs.seconds / ours.seconds:.1f}")
    return table


# ---------------------------------------------------------------------- the picture


def draw(results, path):
    """Save the loss curves as functions of the epoch (top) and of time (bottom); return the path."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, rows = pyplot.subplots(2, len(results), figsize=(12, 6.4), sharey="col", layout="constrained")
    for (job, runs), by_epoch, by_time in zip(results, *rows, strict=True):
        draw_job(runs, by_epoch, by_time)
        by_epoch.set_title(job.name, fontweight="bold")
        by_epoch.set_xlabel("epochs")
        by_time.set_xlabel(job.clock)
    rows[0, 0].legend(frameon=False)
    for row in rows:
        row[0].set_ylabel("training loss")
    figure.suptitle("The same losses in less time: fastbp and scikit-learn on the same work, one thread each")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


def draw_job(runs, by_epoch, by_time):
    styles = {"scikit-learn": {"color": "#b9c0c9", "linewidth": 5}, "fastbp": {"color": "#d1495b", "linewidth": 1.8}}
    for library, style in styles.items():  # the wide line is drawn first, so that both lines are visible if they are equal
        run = runs[library]
        epochs = np.arange(1, len(run.losses) + 1)
        by_epoch.plot(epochs, run.losses, label=library, solid_capstyle="round", **style)
        by_time.plot(epochs * run.seconds_per_epoch, run.losses, solid_capstyle="round", **style)
    by_epoch.xaxis.get_major_locator().set_params(integer=True)
    for axes in (by_epoch, by_time):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
