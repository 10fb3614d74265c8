"""Measure predictions of one row: calls in one process, and requests to a web server.

One network, 20-100-100-4, predicts the probabilities of one row with the function that ``compile_predict`` returns, with
``predict_proba`` of fastbp and of scikit-learn, and with onnxruntime if it and onnx are installed. The ways of prediction take
turns, and each ratio is the median of the ratios of the rounds. With `--quick`, the work is reduced to a check that the script
runs.
"""

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import time
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import numpy as np

N_FEATURES, HIDDEN, N_CLASSES = 20, (100, 100), 4
ROUNDS, N_CALLS, N_REQUESTS, N_CONNECTIONS = 10, 100_000, 2_000, 4
REFERENCE = "scikit-learn"


# ---------------------------------------------------------------------- the ways of prediction


def rows_of(dtype):
    return np.random.RandomState(0).normal(size=(500, N_FEATURES)).astype(dtype)


def trained(estimator, dtype):
    """A model after one epoch; the time of a prediction does not depend on the weights."""
    X = rows_of(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator(HIDDEN, max_iter=1, random_state=0).fit(X, np.arange(len(X)) % N_CLASSES)


def predictors(dtype):
    """Functions of one row (n_features,) that return the probabilities, as a dict from name to a function without arguments."""
    from suite.common import LIBRARIES  # sets the number of BLAS threads to one

    def of_fastbp():
        return trained(LIBRARIES["fastbp"].MLPClassifier, dtype)

    def of_rows(model):
        return lambda row: model.predict_proba(row.reshape(1, -1))[0]

    return {
        "compile_predict": lambda: of_fastbp().compile_predict("predict_proba"),
        "fastbp predict_proba": lambda: of_rows(of_fastbp()),
        REFERENCE: lambda: of_rows(trained(LIBRARIES["sklearn"].MLPClassifier, dtype)),
        **({"onnxruntime": lambda: in_onnxruntime(of_fastbp())} if has_onnxruntime() else {}),
    }


def has_onnxruntime():
    from importlib.util import find_spec

    return find_spec("onnx") is not None and find_spec("onnxruntime") is not None


def in_onnxruntime(model):
    """The probabilities of one row, computed by onnxruntime in one thread."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    kind = TensorProto.FLOAT if model.coefs_[0].dtype == np.float32 else TensorProto.DOUBLE
    nodes, arrays, name = [], [], "X"
    for layer, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        is_last = layer == len(model.coefs_) - 1
        arrays += [numpy_helper.from_array(np.ascontiguousarray(W), f"W{layer}"), numpy_helper.from_array(b.copy(), f"b{layer}")]
        nodes.append(helper.make_node("Gemm", [name, f"W{layer}", f"b{layer}"], [f"Z{layer}"]))
        name = "probabilities" if is_last else f"A{layer}"
        nodes.append(helper.make_node("Softmax" if is_last else "Relu", [f"Z{layer}"], [name]))
    inputs = [helper.make_tensor_value_info("X", kind, [None, N_FEATURES])]
    outputs = [helper.make_tensor_value_info("probabilities", kind, [None, N_CLASSES])]
    graph = helper.make_graph(nodes, "network", inputs, outputs, arrays)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda row: session.run(None, {"X": row.reshape(1, -1)})[0][0]


# ---------------------------------------------------------------------- calls


def latencies_of(predict, rows, n_calls):
    """The duration of each of n_calls calls, in microseconds, including about 0.05 microseconds for reading the clock."""
    rows, durations, clock = list(rows), np.empty(n_calls, np.int64), time.perf_counter_ns
    for i in range(n_calls):
        row = rows[i % 500]
        start = clock()
        predict(row)
        durations[i] = clock() - start
    return durations / 1000


def measured_calls(rounds, n_calls):
    """The durations of all calls, as a dict from (name, dtype) to an array (rounds, calls per round); all take turns."""
    functions = {(name, dtype): create() for dtype in ("float32", "float64") for name, create in predictors(dtype).items()}
    check_agreement([predict(rows_of(dtype)[0]) for (_, dtype), predict in functions.items()])
    durations = {key: [] for key in functions}
    for _ in range(rounds):
        for (name, dtype), predict in functions.items():
            latencies_of(predict, rows_of(dtype), 200)
            durations[name, dtype].append(latencies_of(predict, rows_of(dtype), n_calls // rounds))
    return {key: np.array(values) for key, values in durations.items()}


def check_agreement(results):
    """Raise an AssertionError if the probabilities differ by more than rounding errors of float32."""
    for result in results:
        np.testing.assert_allclose(result, results[0], rtol=1e-3)


def calls_table(rounds, n_calls):
    durations = measured_calls(rounds, n_calls)
    yield ("call for one row", "median", "fastest round", "99th percentile", "times faster than scikit-learn")
    for (name, dtype), values in durations.items():
        of_rounds, of_reference = np.median(values, axis=1), np.median(durations[REFERENCE, dtype], axis=1)
        times = (np.median(values), of_rounds.min(), np.quantile(values, 0.99))
        yield (f"{name}, {dtype}", *(f"{value:.2f} µs" for value in times), f"{median(of_reference / of_rounds):.1f}")


# ---------------------------------------------------------------------- requests


def serve(name, port):
    """Serve one way of prediction with the application of the example, until the process is ended."""
    import uvicorn

    sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "serving"))
    from app import create_app

    app = create_app(predictors("float32")[name](), [f"class {i}" for i in range(N_CLASSES)])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


@contextmanager
def server(name):
    """Start a server in a process of its own, and return its port when it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, __file__, "--serve", name, "--port", str(port)])
    try:
        for _ in range(1200):
            if process.poll() is not None:
                raise RuntimeError(f"the server of {name} ended with exit code {process.returncode}")
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def request_of(row):
    body = json.dumps({"features": row.tolist()}).encode()
    return b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def answer(streams, request):
    """Send a request and return the body of the answer."""
    reader, writer = streams
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line.split(b":")[1] for line in head.lower().splitlines() if line.startswith(b"content-length"))
    body = await reader.readexactly(int(length))
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the server answered {body.decode()}")
    return body


async def load(port, requests, n_connections):
    """Send requests over several connections, each of which waits for its answer; return the durations in milliseconds."""
    durations, remaining = [], iter(requests)

    async def client():
        streams = await asyncio.open_connection("127.0.0.1", port)
        for request in remaining:
            start = time.perf_counter()
            await answer(streams, request)
            durations.append(1000 * (time.perf_counter() - start))
        streams[1].close()

    await asyncio.gather(*(client() for _ in range(n_connections)))
    return durations


def requests_table(rounds, n_requests):
    requests = [request_of(row) for row in rows_of("float32")] * (1 + n_requests // 500)
    requests = requests[:n_requests]
    with ExitStack() as stack:
        ports = {name: stack.enter_context(server(name)) for name in predictors("float32")}
        for port in ports.values():
            asyncio.run(load(port, requests[:100], N_CONNECTIONS))
        rates, durations = {name: [] for name in ports}, {name: [] for name in ports}
        for _ in range(rounds):
            for name, port in ports.items():
                start = time.perf_counter()
                durations[name] += asyncio.run(load(port, requests, N_CONNECTIONS))
                rates[name].append(n_requests / (time.perf_counter() - start))
    yield ("requests for one row, float32", "requests per second", "99th percentile", "times more than scikit-learn")
    for name, values in rates.items():
        ratio = median(np.array(values) / np.array(rates[REFERENCE]))
        yield (name, f"{median(values):.0f}", f"{np.quantile(durations[name], 0.99):.2f} ms", f"{ratio:.2f}")


# ---------------------------------------------------------------------- the command


def print_as_markdown(lines):
    lines = iter(lines)
    header = next(lines)
    print("| " + " | ".join(header) + " |\n|---|" + "---:|" * (len(header) - 1))
    for line in lines:
        print("| " + " | ".join(line) + " |", flush=True)
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="check that the script runs; the figures are meaningless")
    parser.add_argument("--only", choices=["calls", "requests"], help="measure only one of the two tables")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.port)
        return
    rounds, n_calls, n_requests = (1, 50, 20) if options.quick else (ROUNDS, N_CALLS, N_REQUESTS)
    if options.only != "requests":
        print_as_markdown(calls_table(rounds, n_calls))
    if options.only != "calls":
        print_as_markdown(requests_table(rounds, n_requests))


if __name__ == "__main__":
    main()
