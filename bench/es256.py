"""How long the guest takes to verify a signature of Fastly's, measured inside it."""

import json
import statistics
import urllib.request

from bench import components
from bench.figures import Figures, Row, medians
from bench.peers import ROOT, host_sim
from bench.processes import running, wait_port
from bench.requests import answers


def measure(repeat: int) -> list[Row]:
    """Return the first verification in a sandbox and the later ones."""
    edge = host_sim("host-sim serve", components.once(), 21781).peer
    runs: list[Figures] = []
    with running(edge.command, cwd=ROOT) as process:
        wait_port(edge.port, process)
        answers(edge.port)
        for _ in range(5 * repeat):  # each in a fresh sandbox
            with urllib.request.urlopen(f"http://127.0.0.1:{edge.port}/es256") as answer:
                first, *later = json.load(answer)
            runs.append({"first_ms": first, "later_ms": statistics.median(later)})
    return [{"what": "ES256", "peer": edge.name, **medians(runs)}]
