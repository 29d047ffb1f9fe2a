"""How much longer `import conductance.nn` takes than `import torch`: python benchmarks/import_time.py"""

import statistics
import subprocess
import sys
import time

ROUNDS = 9


def seconds(statement: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - started


def main() -> None:
    statements = {"import torch": [], "import torch, conductance.nn": []}
    for _ in range(ROUNDS + 1):
        for statement, times in statements.items():
            times.append(seconds(statement))
    alone, both = (statistics.median(times[1:]) for times in statements.values())  # the first round warms the disk
    print(f"import torch                 {alone:.3f} s (median of {ROUNDS})")
    print(f"import torch, conductance.nn {both:.3f} s")
    print(f"conductance adds             {both - alone:.3f} s")


if __name__ == "__main__":
    main()
