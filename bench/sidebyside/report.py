"""Tables in Markdown and pictures of the results.

The input is the measured results or, for README's table and picture, the finished page `peers.md`. The output is Markdown text or
a PNG file. Nothing is measured here.
"""

from statistics import median

from .everyday import CALLS, MOST_MEDIAN, MOST_WORST, N_THREADS, worst_quarter
from .works import PEERS

# The rows of `peers.md` that README shows, in README's order: {row: (name, description)}.
DESCRIPTIONS = {
    "10-16-1 b10 sgd": ("tiny classifier", "10 inputs, 16 hidden units, batches of 10 rows"),
    "10-16-1 b1 sgd": ("tiny classifier, online learning", "10 inputs, 16 hidden units, one row at a time"),
    "20-100-1 b200 adam": ("small classifier", "20 inputs, 100 hidden units, batches of 200 rows"),
    "20-100-1 b200 adam float64": ("small classifier in float64", "20 inputs, 100 hidden units, batches of 200 rows"),
    "32-64-64-3 b32 adam": ("two small hidden layers", "32 inputs, 2 × 64 hidden units, 3 classes, batches of 32 rows"),
    "64-100-10 b200 adam": ("ten classes", "64 inputs, 100 hidden units, batches of 200 rows"),
    "20-100-100-4 b200 adam tanh": ("two hidden layers, tanh", "20 inputs, 2 × 100 hidden units, 4 classes, batches of 200 rows"),
    "784-128-10 b128 adam": ("network for MNIST", "784 inputs, 128 hidden units, 10 classes, batches of 128 rows"),
    "50-256-256-256-5 b256 adam": ("medium network", "50 inputs, 3 × 256 hidden units, 5 classes, batches of 256 rows"),
    "500-1024-1024-10 b512 adam": ("large network", "500 inputs, 2 × 1,024 hidden units, 10 classes, batches of 512 rows"),
    "one-hot CSR 5000-64-1 b200 adam": ("sparse input", "5,000 one-hot columns, 64 hidden units, batches of 200 rows"),
    "default fit of iris, float64": ("whole fit of iris", "default parameters, float64"),
    "default fit of diabetes, float64": ("whole fit of diabetes", "default parameters, float64"),
    "predict of one row through 20-100-100-4": ("prediction of one row", "20 inputs, 2 × 100 hidden units"),
    "predict of 100,000 rows through 20-100-100-4": ("prediction of 100,000 rows", "20 inputs, 2 × 100 hidden units"),
}
PACKAGE_NAMES = {"scikit-learn": "scikit-learn", "JAX": "JAX", "torch": "PyTorch"}
COLORS = {"scikit-learn": "#e08214", "JAX": "#5e8fc7", "torch": "#b2423f"}
GOAL_COLOR, GRID_COLOR, OURS = "#222222", "#dddddd", "#2a7f62"
STRAIGHT = 0.15


def table(head, rows, left=1):
    """A Markdown table. The first `left` columns are aligned to the left, the others to the right."""
    lines = [head, ["---"] * left + ["---:"] * (len(head) - left), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def against(ratio, goal):
    """A ratio and its goal: `13.4 ≥ 13` if the ratio reaches the goal, `12.1 < 13` if it does not."""
    shown = f"{ratio:.3g}" if ratio < 100 else f"{ratio:.0f}"
    return shown if goal is None else f"{shown} {'≥' if ratio >= goal else '<'} {goal:g}"


def at_most(ratio, goal):
    """A ratio and its maximum: `1.2 ≤ 1.5` if the ratio is not larger, `1.6 > 1.5` if it is."""
    return f"{ratio:.2f} {'≤' if ratio <= goal else '>'} {goal:g}"


def time_of(seconds):
    for unit, scale in (("s", 1), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def micros(seconds):
    value = 1e6 * seconds
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


# ---------------------------------------------------------------------- tables


def training_head():
    return ["network", "threads", "epochs", *(f"{peer}: µs · loss" for peer in PEERS), *(f"× {peer}" for peer in PEERS[1:])]


def training_row(result):
    times = [f"{micros(result.median(peer))} · {result.notes[peer]}" if peer in result.seconds else "–" for peer in PEERS]
    ratios = [against(result.ratio(peer), result.goals[peer]) if peer in result.goals else "–" for peer in PEERS[1:]]
    return [result.name, str(result.n_threads), str(result.n_epochs), *times, *ratios]


LIMIT_HEAD = [
    "network, one thread",
    "BLAS: µs",
    "tiles: µs",
    "whole step: µs",
    "BLAS ÷ step",
    "BLAS: % of peak",
    "tiles: % of peak",
    "step: % of peak",
]


def limit_row(limit):
    times = [micros(median(seconds)) for seconds in (limit.blas, limit.tiles, limit.step)]
    shares = [f"{100 * limit.share(seconds):.0f}" for seconds in (limit.blas, limit.tiles, limit.step)]
    return [limit.name, *times, against(limit.ratio, limit.goal), *shares]


CALLS_HEAD = ["work, one thread", "fastbp", "scikit-learn", "× scikit-learn", "loss and epochs: fastbp", "scikit-learn"]


def call_row(result):
    times = [time_of(result.median(library)) for library in ("fastbp", "scikit-learn")]
    notes = [result.notes.get(library, "–") for library in ("fastbp", "scikit-learn")]
    return [result.name, *times, against(result.ratio("scikit-learn"), result.goals["scikit-learn"]), *notes]


MEMORY_HEAD = ["predict, 20-100-100-4", "fastbp: MB", "scikit-learn: MB"]


def memory_row(n_rows, growth):
    return [f"{n_rows:,} rows", *(f"{growth[library] / 1e6:.1f}" for library in ("fastbp", "scikit-learn"))]


EVERYDAY_HEAD = ["call, default number of threads", "fastbp", "scikit-learn", "× scikit-learn", "time of fastbp and its goal"]


def everyday_row(result):
    fastbp, sklearn = (result.median(library) for library in ("fastbp", "scikit-learn"))
    most = CALLS[result.name].most_seconds
    shown = "–" if most is None else f"{time_of(fastbp)} {'≤' if fastbp <= most else '>'} {time_of(most)}"
    return [
        result.name,
        time_of(fastbp),
        time_of(sklearn),
        against(result.ratio("scikit-learn"), result.goals["scikit-learn"]),
        shown,
    ]


BUSY_HEAD = ["fit", "one thread", *(f"{way}: {what}" for way in N_THREADS for what in ("median", "slowest quarter"))]


def busy_row(name, seconds):
    one = median(seconds["one thread"])
    cells = []
    for way in N_THREADS:
        cells.append(at_most(median(seconds[way]) / one, MOST_MEDIAN))
        cells.append(at_most(worst_quarter(seconds[way]) / one, MOST_WORST))
    return [name, time_of(one), *cells]


AFTER_HEAD = ["fit of 30-256-256-4 b64", "alone", "right after the call", "ratio: median", "ratio: slowest quarter"]


def after_row(name, seconds):
    ratios = [after / alone for after, alone in zip(seconds["after"], seconds["alone"], strict=True)]
    times = [time_of(median(seconds[when])) for when in ("alone", "after")]
    return [name, *times, f"{median(ratios):.2f}", f"{worst_quarter(ratios):.2f}"]


TURNS_HEAD = [
    "training of an epoch",
    *(f"{who}, {where}" for where in ("own processes", "one process") for who in ("fastbp", "other library", "ratio")),
    "change of the ratio",
]


def turns_row(apart, together):
    peer = next(one for one in apart.seconds if one != "fastbp")
    cells = []
    for result in (apart, together):
        cells += [time_of(result.median("fastbp")), time_of(result.median(peer)), f"{result.ratio(peer):.2f}"]
    return [apart.name, *cells, f"{100 * (together.ratio(peer) / apart.ratio(peer) - 1):+.0f} %"]


CROSS_HEAD = ["cross_val_score, 4 folds", "seconds", "÷ the faster run with n_jobs=1"]


def cross_rows(seconds):
    medians = {way: median(values) for way, values in seconds.items()}
    best = min(value for way, value in medians.items() if "n_jobs=1" in way)
    for way, value in medians.items():
        share = f"{value / best:.2f}"
        if "n_jobs=2" in way:
            share += f" {'≤' if value <= 1.1 * best else '>'} 1.10"
        yield [way, f"{value:.1f}", share]


CURVE_HEAD = ["time of an epoch as a function of", "range", "largest deviation from a straight line"]


def curve_row(curve):
    worst = max(abs(deviation) for deviation in curve.deviations)
    sign = "≤" if worst <= STRAIGHT else ">"
    return [
        f"{curve.unit}: {curve.name}",
        f"{curve.at[0]:,} to {curve.at[-1]:,}",
        f"{100 * worst:.0f} % {sign} {100 * STRAIGHT:.0f} %",
    ]


# ---------------------------------------------------------------------- README's table and picture


def read_page(page):
    """{row: (time of fastbp, {peer: times faster})} of all tables of `peers.md` that compare fastbp with its peers."""
    found, head = {}, []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if not cells or not head:
            head = cells
        elif "× scikit-learn" in head and not cells[0].startswith("-"):
            row = dict(zip(head, cells, strict=True))
            time = row["fastbp"] if "fastbp" in row else row["fastbp: µs · loss"].split(" · ")[0] + " µs"
            ratios = {peer: row.get(f"× {peer}", "–").split()[0] for peer in PEERS[1:]}
            found[cells[0]] = time, {peer: float(ratio) for peer, ratio in ratios.items() if ratio != "–"}
    return found


def readme_table(page):
    """README's table of speeds, from the text of `peers.md`: the rows of `DESCRIPTIONS` that the page contains."""
    figures = read_page(page)
    head = ["what is timed", "time of fastbp", *(f"faster than {package}" for package in PACKAGE_NAMES.values())]
    rows = []
    for row, (name, description) in DESCRIPTIONS.items():
        if row in figures:
            time, ratios = figures[row]
            rows.append(
                [f"**{name}**: {description}", time, *(f"{ratios[peer]:g} ×" if peer in ratios else "–" for peer in PEERS[1:])]
            )
    return table(head, rows)


def draw_speed(page, path):
    """Draw README's picture from the text of `peers.md`: bars of how many times faster fastbp is, on a logarithmic axis."""
    plt = _pyplot()
    figures = read_page(page)
    bars, ticks, at = [], [], 0.0
    for row, (name, description) in DESCRIPTIONS.items():
        ratios = figures[row][1] if row in figures else {}
        bars += [(at + i, peer, ratio) for i, (peer, ratio) in enumerate(ratios.items())]
        if ratios:
            ticks.append((at + (len(ratios) - 1) / 2, name, description))
            at += max(len(ratios), 1.6) + 0.7
    if not bars:
        return
    figure, axes = plt.subplots(figsize=(9.5, 1 + 0.155 * at), layout="constrained")
    _ratio_axis(axes, max(ratio for *_, ratio in bars), min(ratio for *_, ratio in bars), at)
    for y, peer, ratio in bars:
        axes.barh(y, ratio - 1, left=1, height=0.86, color=COLORS[peer])
        axes.annotate(
            f"{ratio:g}", (max(1, ratio), y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7, color="#333333"
        )
    axes.set_yticks([y for y, *_ in ticks], [""] * len(ticks))
    for y, name, description in ticks:
        for text, offset, weight, color in ((name, 5, "bold", "#222222"), (description, -5, "normal", "#555555")):
            axes.annotate(
                text, (0, y), xycoords=("axes fraction", "data"), xytext=(-6, offset), textcoords="offset points",
                ha="right", va="center", fontsize=8, fontweight=weight, color=color,
            )  # fmt: skip
    axes.set_xlabel("time of the other library ÷ time of fastbp")
    axes.set_title("How many times faster fastbp is", loc="left", fontweight="bold")
    present = [peer for peer in PEERS if any(peer == other for _, other, _ in bars)]
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLORS[peer]) for peer in present]
    axes.legend(
        handles, [f"compared with {PACKAGE_NAMES[peer]}" for peer in present], loc="lower right", frameon=True, edgecolor="none"
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)


# ---------------------------------------------------------------------- pictures of the page


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True})
    return pyplot


def _ratio_axis(axes, highest, lowest, n_bars):
    """Prepare a logarithmic axis for ratios with a line at 1, and a vertical axis for `n_bars` bars from top to bottom."""
    axes.set_xscale("log")
    axes.axvline(1, color=GOAL_COLOR, linewidth=0.8)
    axes.set_xlim(min(0.8, 0.9 * lowest), 1.9 * highest)
    axes.set_ylim(n_bars - 0.6, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID_COLOR, linewidth=0.6)
    decades = [value for value in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if value <= 1.9 * highest]
    axes.set_xticks(decades, [str(value) for value in decades])
    axes.minorticks_off()


def draw_ratios(results, path, caption):
    """Draw one bar per row and peer on a logarithmic axis. A black tick marks the goal, a thin line the range of the rounds."""
    plt = _pyplot()
    bars, ticks, at = [], [], 0.0
    for result in results:
        first = at
        for peer in (peer for peer in PEERS if peer in result.goals):
            bars.append((at, peer, result))
            at += 1
        ticks.append(((first + at - 1) / 2, result.name))
        at += 0.7
    figure, axes = plt.subplots(figsize=(9.5, 0.9 + 0.235 * at), layout="constrained")
    highest = max(max(*result.ratios(peer), result.goals[peer]) for _, peer, result in bars)
    for y, peer, result in bars:
        ratios, ratio, goal = result.ratios(peer), result.ratio(peer), result.goals[peer]
        axes.barh(y, ratio - 1, left=1, height=0.86, color=COLORS[peer], alpha=1 if ratio >= goal else 0.55)
        axes.plot([min(ratios), max(ratios)], [y, y], color="#00000080", linewidth=1)
        axes.plot([goal, goal], [y - 0.46, y + 0.46], color=GOAL_COLOR, linewidth=2, solid_capstyle="butt")
        shown = f"{ratio:.3g}" if ratio < 100 else f"{ratio:.0f}"
        axes.annotate(
            shown, (max(1, *ratios), y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7.5, color="#333333"
        )
    lowest = min(min(result.ratios(peer)) for _, peer, result in bars)
    _ratio_axis(axes, highest, lowest, at)
    axes.set_yticks([y for y, _ in ticks], [name for _, name in ticks])
    axes.set_xlabel("time of the other library ÷ time of fastbp")
    axes.set_title("How many times faster fastbp is, with goals", loc="left", fontweight="bold")
    present = [peer for peer in PEERS if any(peer == other for _, other, _ in bars)]
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLORS[peer]) for peer in present]
    handles.append(plt.Line2D([], [], color=GOAL_COLOR, linewidth=2, marker="|", linestyle="none", markersize=9, markeredgewidth=2))
    handles.append(plt.Line2D([], [], color="#00000080", linewidth=1))
    names = [*present, "goal (bar is pale if missed)", "lowest to highest round"]
    axes.legend(handles, names, loc="lower right", frameon=True, framealpha=0.95, edgecolor="none")
    figure.supxlabel(caption, fontsize=6.5, color="#666666")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_curves(curves, path, caption):
    """Draw seconds per epoch with the fitted line (top) and the deviation from that line in percent (bottom)."""
    plt = _pyplot()
    figure, axes = plt.subplots(
        2, len(curves), figsize=(4.6 * len(curves), 4.9), layout="constrained", height_ratios=[3, 1.3], squeeze=False
    )
    figure.suptitle("Seconds per epoch and deviation from a straight line", x=0.01, ha="left", fontsize=10)
    reach = max(20, *(125 * abs(deviation) for curve in curves for deviation in curve.deviations))
    for curve, (above, below) in zip(curves, axes.T, strict=True):
        scale = 1 if max(curve.seconds) >= 0.5 else 1e3
        above.plot(curve.at, [scale * s for s in curve.line], color=GOAL_COLOR, linewidth=1, label="straight line")
        above.plot(curve.at, [scale * s for s in curve.seconds], "o", color=OURS, markersize=5, label="measured")
        above.set_title(f"number of {curve.unit}", loc="left", fontweight="bold")
        above.text(0, 1.0, curve.name, transform=above.transAxes, fontsize=7.5, color="#666666", va="bottom")
        above.set_title(f"number of {curve.unit}", loc="left", fontweight="bold", pad=16)
        above.set_ylabel(f"{'seconds' if scale == 1 else 'milliseconds'} per epoch")
        above.legend(frameon=False, loc="upper left")
        deviations = [100 * deviation for deviation in curve.deviations]
        below.axhspan(-100 * STRAIGHT, 100 * STRAIGHT, color=OURS, alpha=0.12, linewidth=0)
        below.axhline(0, color=GOAL_COLOR, linewidth=0.8)
        below.vlines(curve.at, 0, deviations, color=OURS, linewidth=2)
        below.plot(curve.at, deviations, "o", color=OURS, markersize=4)
        below.set_ylim(-reach, reach)
        below.set_ylabel("deviation, %")
        below.set_xlabel(curve.unit)
        if curve.at[-1] > 50 * curve.at[0]:
            above.set_xscale("log")
            above.set_yscale("log")
            below.set_xscale("log")
        else:
            above.set_xlim(0, 1.05 * curve.at[-1])
            below.set_xlim(0, 1.05 * curve.at[-1])
            above.set_ylim(0)
        for axis in (above, below):
            axis.grid(color=GRID_COLOR, linewidth=0.6)
    figure.supxlabel(caption, fontsize=6.5, color="#666666")
    figure.savefig(path, dpi=150)
    plt.close(figure)
