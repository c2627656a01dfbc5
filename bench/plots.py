"""Draws how costs grow, for `docs/performance.md`."""

from pathlib import Path

from bench.figures import Row, number

TITLES = {
    "connections": "connections on one channel, 64 bytes",
    "channels": "channels that 10,000 streams are divided between",
    "bytes": "bytes of a message to 100 streams",
}


def draw(rows: list[Row], folder: Path) -> None:
    """Write a picture for each thing that grows."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "grip"  # the same figures give the same file
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    for axis, title in TITLES.items():
        figure, plot = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
        steps = [row for row in rows if row["axis"] == axis]
        for kind, name in (("stream", "HTTP streams"), ("ws", "WebSockets")):
            xs = [number(row, "x") for row in steps if row["kind"] == kind]
            ys = [number(row, "cost_us") for row in steps if row["kind"] == kind]
            if not xs:
                continue
            (line,) = plot.plot(xs, ys, marker="o", label=name)
            if axis != "bytes":
                plot.axhline(2 * min(ys), color=line.get_color(), linestyle=":", linewidth=1)
        plot.set_xscale("log")
        if axis == "bytes":
            plot.set_yscale("log")
        else:
            plot.set_ylim(bottom=0)
        plot.set_xlabel(title)
        plot.set_ylabel("CPU time of a delivery, µs")
        plot.grid(alpha=0.3)
        if len(plot.lines) > 1:
            plot.legend(title="dotted: twice the least" if axis != "bytes" else None)
        figure.savefig(folder / f"{axis}.svg", metadata={"Date": None})
        plt.close(figure)
