"""`avnas test --run DIR`: evaluate a finished run once more."""

from collections.abc import Sequence

import lightning as L

from avhash_nas.cli import fit as fit_command
from avhash_nas.cli.parser import make_parser
from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork
from avhash_nas.training import RunFolder
from avhash_nas.training.evaluate import evaluate_network, yardsticks
from avhash_nas.training.table import print_results


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    fit_command.quiet()
    made = make_parser("test", "Evaluate a finished run once more; prints the figures that fit printed.")
    made.add_argument("--run", type=str, required=True, help="folder of the run")
    made.add_argument("--data.root", type=str, help="folder of the data set; by default the run's own")
    made.add_argument("--accelerator", type=str, default="auto", help="as Lightning's Trainer takes it")
    options = made.parse(arguments)
    folder = RunFolder(options.run)
    stored = folder.read_options()
    if not folder.finished:
        raise AvnasError(f"{folder.path}: this run is not finished; run its `avnas fit` again")
    metrics = folder.read_metrics()
    network = HashNetwork.from_pretrained(folder.model)
    of_fit = fit_command.parser()
    if options.data.root is not None:
        stored["data"]["root"] = options.data.root
    data = fit_command.open_data(of_fit.make(of_fit.parse_object(stored)), seed=metrics["seed"])
    if (data.visual_dim, data.audio_dim) != (network.arguments()["visual_dim"], network.arguments()["audio_dim"]):
        raise AvnasError(
            f"{data.root}: features of width {data.visual_dim} and {data.audio_dim} do not fit the network of "
            f"{folder.path}, which takes {network.arguments()['visual_dim']} and {network.arguments()['audio_dim']}",
        )
    trainer = L.Trainer(
        accelerator=options.accelerator,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    scores = evaluate_network(network, data, trainer)
    print_results({**metrics, **yardsticks(data, network.bits, metrics["seed"]), "test": scores.to_dict()})
    return 0
