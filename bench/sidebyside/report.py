"""From figures to a page of Markdown and two pictures. Nothing is measured here."""

from statistics import median

from .works import PEERS

COLORS = {"scikit-learn": "#e08214", "JAX": "#5e8fc7", "torch": "#b2423f"}
GOAL_COLOR, GRID_COLOR, OURS = "#222222", "#dddddd", "#2a7f62"
STRAIGHT = 0.15


def table(head, rows, left=1):
    """Markdown, with the columns after the first `left` aligned to the right."""
    lines = [head, ["---"] * left + ["---:"] * (len(head) - left), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def against(ratio, goal):
    """A ratio beside its goal: `13.4 ≥ 13`, or `12.1 < 13` where it is missed."""
    shown = f"{ratio:.3g}" if ratio < 100 else f"{ratio:.0f}"
    return shown if goal is None else f"{shown} {'≥' if ratio >= goal else '<'} {goal:g}"


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


CROSS_HEAD = ["cross_val_score, 4 folds", "seconds", "÷ the better with n_jobs=1"]


def cross_rows(seconds):
    medians = {way: median(values) for way, values in seconds.items()}
    best = min(value for way, value in medians.items() if "n_jobs=1" in way)
    for way, value in medians.items():
        share = f"{value / best:.2f}"
        if "n_jobs=2" in way:
            share += f" {'≤' if value <= 1.1 * best else '>'} 1.10"
        yield [way, f"{value:.1f}", share]


CURVE_HEAD = ["cost of an epoch over", "points", "largest deviation from a straight line"]


def curve_row(curve):
    worst = max(abs(deviation) for deviation in curve.deviations)
    sign = "≤" if worst <= STRAIGHT else ">"
    return [
        f"{curve.unit}: {curve.name}",
        f"{curve.at[0]:,} to {curve.at[-1]:,}",
        f"{100 * worst:.0f} % {sign} {100 * STRAIGHT:.0f} %",
    ]


# ---------------------------------------------------------------------- pictures


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True})
    return pyplot


def draw_ratios(results, path, caption):
    """A bar for each peer of each row, on a logarithmic axis, with its goal as a black tick and its rounds as a thin line."""
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
    axes.set_xscale("log")
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
    axes.axvline(1, color=GOAL_COLOR, linewidth=0.8)
    lowest = min(min(result.ratios(peer)) for _, peer, result in bars)
    axes.set_xlim(min(0.8, 0.9 * lowest), 1.9 * highest)
    axes.set_ylim(at - 0.6, -0.7)
    axes.set_yticks([y for y, _ in ticks], [name for _, name in ticks])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID_COLOR, linewidth=0.6)
    decades = [value for value in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if value <= 1.9 * highest]
    axes.set_xticks(decades, [str(value) for value in decades])
    axes.minorticks_off()
    axes.set_xlabel("time of the peer ÷ time of fastbp")
    axes.set_title("How many times sooner fastbp is done", loc="left", fontweight="bold")
    present = [peer for peer in PEERS if any(peer == other for _, other, _ in bars)]
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLORS[peer]) for peer in present]
    handles.append(plt.Line2D([], [], color=GOAL_COLOR, linewidth=2, marker="|", linestyle="none", markersize=9, markeredgewidth=2))
    handles.append(plt.Line2D([], [], color="#00000080", linewidth=1))
    names = [*present, "goal (pale where missed)", "lowest to highest round"]
    axes.legend(handles, names, loc="lower right", frameon=True, framealpha=0.95, edgecolor="none")
    figure.supxlabel(caption, fontsize=6.5, color="#666666")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_curves(curves, path, caption):
    """Above, seconds per epoch and the straight line; below, the deviation from it in percent."""
    plt = _pyplot()
    figure, axes = plt.subplots(
        2, len(curves), figsize=(4.6 * len(curves), 4.9), layout="constrained", height_ratios=[3, 1.3], squeeze=False
    )
    figure.suptitle("Seconds per epoch, and how far from a straight line", x=0.01, ha="left", fontsize=10)
    reach = max(20, *(125 * abs(deviation) for curve in curves for deviation in curve.deviations))
    for curve, (above, below) in zip(curves, axes.T, strict=True):
        scale = 1 if max(curve.seconds) >= 0.5 else 1e3
        above.plot(curve.at, [scale * s for s in curve.line], color=GOAL_COLOR, linewidth=1, label="straight line")
        above.plot(curve.at, [scale * s for s in curve.seconds], "o", color=OURS, markersize=5, label="measured")
        above.set_title(f"over {curve.unit}", loc="left", fontweight="bold")
        above.text(0, 1.0, curve.name, transform=above.transAxes, fontsize=7.5, color="#666666", va="bottom")
        above.set_title(f"over {curve.unit}", loc="left", fontweight="bold", pad=16)
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
