"""Results out and back: a run that ends at a goal, goes on, is loaded again, is exported, and starts another run."""

from pathlib import Path

import jdl


def main(
    make=jdl.problems.digits, nodes=32, rounds=100, goal=("mean_accuracy", 0.8), out=Path("runs/tasks/out_and_back")
) -> None:
    parts = {"problem": make(nodes), "algorithm": jdl.algorithms.DPSGD(lr=0.3), "topology": jdl.topology.ring(nodes)}
    early = jdl.run(**parts, rounds=rounds, until=dict([goal]), run_dir=out / "run")
    jdl.run(**parts, rounds=2 * rounds, run_dir=out / "run", resume=True)

    result = jdl.load(out / "run")  # tomorrow
    print(early.status, early.rounds, result.status, result.rounds)
    result.history.frame.to_csv(out / "history.csv", index=False)
    result.save_models(out / "models.npz")

    again = jdl.run(**parts, rounds=rounds, params=jdl.load_models(out / "models.npz"))
    jdl.compare({"first": result, "from its models": again}, path=out / "curves.png")


if __name__ == "__main__":
    main()
