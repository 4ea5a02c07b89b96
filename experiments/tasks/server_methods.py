"""A LaTeX table of three methods with a server: rounds and bits until a target accuracy, over five seeds."""

from functools import partial
from pathlib import Path

import jdl


def main(nodes=32, rounds=300, seeds=5, target=0.9, out=Path("runs/tasks/server_methods")) -> None:
    methods = {
        "FedAvg": jdl.algorithms.FedAvg(lr=0.3, local_steps=5),
        "FedProx": jdl.algorithms.FedProx(lr=0.3, local_steps=5, mu=0.1),
        "SCAFFOLD": jdl.algorithms.Scaffold(lr=0.3, local_steps=5),
    }
    dirichlet = jdl.data.partition.Dirichlet(alpha=0.1)
    table = jdl.sweep(
        problem=partial(jdl.problems.digits, nodes=nodes, partition=dirichlet),
        algorithm=jdl.over(methods, name="method"),
        topology=jdl.schedule.Sampling(nodes, nodes // 4),
        **{"rounds": rounds, "eval_every": 1, "until": {"mean_accuracy": target}, "seeds": seeds},
        run_dir=out / "sweep",
    )
    (out / "table.tex").write_text(table.to_latex(["round", "bits_sent", "mean_accuracy"]))


if __name__ == "__main__":
    main()
