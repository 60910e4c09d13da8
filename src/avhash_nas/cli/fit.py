"""`avnas fit`: search, prune, fine-tune, test."""

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import lightning as L
import yaml
from jsonargparse import Namespace

from avhash_nas.cli import pages
from avhash_nas.cli.parser import Choice, Parser, import_class, make_parser
from avhash_nas.cli.trainers import end_with_parent, quiet, trainer_factory
from avhash_nas.data import BatchSampling, HashingData
from avhash_nas.distributed import rank
from avhash_nas.errors import AvnasError, DataError
from avhash_nas.networks import VideoNetwork
from avhash_nas.objectives import Objective
from avhash_nas.offline import class_vectors
from avhash_nas.pipeline import Plan, RunFolder, Scoring, fit, task_of
from avhash_nas.pipeline.loggers import log_pictures
from avhash_nas.pipeline.results_table import print_results
from avhash_nas.pipeline.run_folder import flatten
from avhash_nas.space import load_space
from avhash_nas.strategies import SearchStrategy
from avhash_nas.training import Augmentation, Recipe
from avhash_nas.training.network_options import NetworkOptions

CHOICES = {
    "strategy": Choice(
        "avhash_nas.strategies.SearchStrategy",
        ("avhash_nas.strategies",),
        group="avhash_nas.strategies",
        default="avhash_nas.strategies.AVNAS",
    ),
    "network": Choice(
        "avhash_nas.networks.VideoNetwork",
        ("avhash_nas.networks", "avhash_nas.baselines"),
        default="avhash_nas.networks.AudioVisualNetwork",
    ),
    "objective": Choice(
        "avhash_nas.objectives.Objective",
        ("avhash_nas.objectives", "avhash_nas.baselines"),
        default="avhash_nas.objectives.InfoNCE",
    ),
    "data.sampling": Choice("avhash_nas.data.BatchSampling", ("avhash_nas.data",)),
}
"""Options that name a class."""

_INJECTED = {"visual_dim", "audio_dim", "text_dim", "frames", "bits", "classes", "class_texts", "space"}
_STAGE_DECIDES = {
    *("max_epochs", "min_epochs", "max_steps", "min_steps", "default_root_dir", "enable_checkpointing"),
    *("num_sanity_val_steps", "use_distributed_sampler", "barebones", "reload_dataloaders_every_n_epochs"),
    *("enable_progress_bar", "enable_model_summary"),
}
_HINTS = {
    **dict.fromkeys(
        ("max_epochs", "min_epochs", "max_steps", "min_steps"),
        "each stage has its own budget: --search.epochs and --finetune.epochs",
    ),
    "trainer.default_root_dir": "--out names the folder of the run",
}
_NOT_DECISIVE = ("config", "out", "overwrite", "logger", "page", "checkpointing", "trainer")
_DECISIVE_OF_TRAINER = (
    *("precision", "accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm", "overfit_batches"),
    *("limit_train_batches", "limit_val_batches", "limit_test_batches", "fast_dev_run"),
    *("val_check_interval", "check_val_every_n_epoch"),
)


def parser() -> Parser:
    """All options of `avnas fit`."""
    command = make_parser("fit", "Search, prune, fine-tune and test a hashing network.", CHOICES)
    command.hints = _HINTS
    command.checked = {"search": Recipe, "finetune": Recipe}
    where = "folder of the run, where the same command resumes; {strategy}, {bits}, ... stand for the options' values"
    command.add_argument("--out", type=str, default="runs/fit", help=where)
    command.add_argument("--overwrite", action="store_true", help="remove the run in the folder and start again")
    command.add_argument("--seed", type=int, default=0, help="for initialization, sampling, dropout and augmentation")
    command.add_argument("--bits", type=int, default=64, help="code length q")
    command.add_argument("--space", type=str, default="full", help="preset (see avnas space) or JSON file")
    command.add_argument("--from_scratch", "--from-scratch", action="store_true", help="fine-tune from fresh weights")
    command.add_argument("--compile", action="store_true", help="train with operators compiled by torch.compile")
    less = "use less memory and more time: recompute cells in the backward pass"
    command.add_argument("--checkpointing", action="store_true", help=less)
    command.add_argument(
        "--logger", type=Literal["csv", "wandb", "tensorboard"], default="csv", help="besides epochs.csv"
    )
    command.add_argument("--page", type=bool, default=True, help=pages.OPTION)
    command.add_subclass_arguments(SearchStrategy, "strategy", required=True, help=_choice("strategy"))
    command.add_subclass_arguments(
        VideoNetwork, "network", required=True, help=_choice("network"), skip=_INJECTED, instantiate=False
    )
    command.add_subclass_arguments(Objective, "objective", required=True, help=_choice("objective"))
    command.add_class_arguments(HashingData, "data", skip={"seed"}, instantiate=False)
    command.add_class_arguments(Augmentation, "augmentation")
    command.add_class_arguments(Recipe, "search")
    command.add_class_arguments(Recipe, "finetune")
    command.set_defaults({"finetune.lr": 1e-4})
    command.add_class_arguments(Scoring, "scoring")
    command.add_class_arguments(L.Trainer, "trainer", skip=_STAGE_DECIDES, instantiate=False)
    return command


def _choice(option: str) -> str:
    names = ", ".join(CHOICES[option].display_names())
    default = (CHOICES[option].default or "").rpartition(".")[2]
    other = " (Lightning's own strategy is --trainer.strategy)" if option == "strategy" else ""
    return f"one of {names}, or package.module.Class; default {default}; --{option}.help=NAME lists its options{other}"


def build(options: Namespace, command: Parser, folder: RunFolder) -> Plan:
    """The plan of a run.

    Args:
        options: As parsed.
        command: Their parser.
        folder: Of the run.

    Raises:
        AvnasError: Options or data are bad.
    """
    if options.bits < 1:
        raise AvnasError(f"--bits must be positive, got {options.bits}")
    if options.seed < 0:
        raise AvnasError(f"--seed must not be negative, got {options.seed}")
    ready = command.make(options)
    run_as = NetworkOptions(compiled=options.compile, checkpointing=options.checkpointing)
    make_trainer = trainer_factory(plain_values(ready.trainer), options.logger, folder, (run_as,))
    network = network_factory(options.network.class_path, plain_values(options.network.get("init_args")), options)
    task = task_of(import_class(options.network.class_path))
    data = open_data(ready, options.seed, task.data_class)
    return Plan(
        data=data,
        make_network=lambda: network(data),
        objective=ready.objective,
        search=ready.search,
        finetune=ready.finetune,
        augmentation=ready.augmentation,
        strategy=ready.strategy,
        make_trainer=make_trainer,
        seed=options.seed,
        scoring=ready.scoring,
        task=task,
        from_scratch=options.from_scratch,
    )


def open_data(ready: Namespace, seed: int, data_class: type[HashingData] = HashingData) -> HashingData:
    """The dataset, checked, converted and open."""
    return dataset(ready, seed, data_class).prepare()


def dataset(ready: Namespace, seed: int, data_class: type[HashingData] = HashingData) -> HashingData:
    """The dataset, not yet open."""
    sampling: BatchSampling | None = ready.data.sampling
    options = {**plain_values(ready.data), "sampling": sampling}
    return data_class(**options, seed=seed)


def network_factory(path: str, arguments: dict[str, Any], options: Namespace) -> Callable[[HashingData], VideoNetwork]:
    """A function that makes the network from what the data say of those arguments that are not options."""
    kind = import_class(path)
    parameters = inspect.signature(kind).parameters
    if "space" in parameters:
        arguments = {**arguments, "space": load_space(options.space)}

    def make(data: HashingData) -> VideoNetwork:
        known: dict[str, Callable[[], Any]] = {
            "visual_dim": lambda: data.visual_dim,
            "audio_dim": lambda: data.audio_dim,
            "text_dim": lambda: data.text_dim,
            "frames": lambda: data.frames,
            "bits": lambda: options.bits,
            "classes": lambda: data.classes,
            "class_texts": lambda: class_vectors(data, arguments["texts"]),
        }
        injected = {name: value() for name, value in known.items() if name in parameters}
        network: VideoNetwork = kind(**injected, **arguments)
        return network

    return make


def plain_values(namespace: Namespace | None) -> dict[str, Any]:
    """A namespace as keyword arguments."""
    return dict(vars(namespace)) if namespace is not None else {}


def decisive(options: Namespace, command: Parser) -> dict[str, Any]:
    """The options that decide what a run computes, as plain values."""
    dumped: dict[str, Any] = yaml.safe_load(command.dump(options, format="yaml", skip_validation=True))
    trainer = {
        name: dumped["trainer"][name]
        for name in _DECISIVE_OF_TRAINER
        if dumped["trainer"].get(name) != command.get_default(f"trainer.{name}")
    }
    decisive_options = {name: value for name, value in dumped.items() if name not in _NOT_DECISIVE}
    added: list[tuple[dict[str, Any], str, Any]] = [
        (decisive_options, "compile", False),
        (decisive_options["data"], "include_self", False),
        *((decisive_options[stage], "beta1", 0.9) for stage in ("search", "finetune")),
    ]
    for where, name, default in added:
        if where[name] == default:
            del where[name]  # as in runs of older versions
    return {**decisive_options, "trainer": trainer} if trainer else decisive_options


def filled(out: str, options: Mapping[str, Any], choices: Mapping[str, Choice]) -> str:
    """A folder name with every `{option}` replaced by the option's value, a class by the shortest of its names.

    A wandb sweep sends values of options and no folder. `--out=runs/{strategy}-{bits}-{seed}` gives every point of the
    sweep its own folder, which is the same one when the point is run again.

    Args:
        out: As given.
        options: Those that decide what a run computes, as plain values.
        choices: Options that name a class.

    Raises:
        AvnasError: There is no such option.

    >>> filled("runs/{bits}-{search.epochs}", {"bits": 64, "search": {"epochs": 3}}, {})
    'runs/64-3'
    """
    values = flatten(options)

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name in choices and f"{name}.class_path" in values:
            return _shortest(values[f"{name}.class_path"], choices[name])
        if name not in values:
            raise AvnasError(f"--out: {match[0]} names no option of the run")
        return re.sub(r"[^\w.+-]+", "-", str(values[name]))

    return re.sub(r"\{([\w.]+)\}", value, out)


def _shortest(path: str, choice: Choice) -> str:
    """`random` for avhash_nas.strategies.random.RandomSearch; the class's own name if the choice does not know it."""
    kind = import_class(path)
    names = [name for name, known in choice.classes().items() if known is kind]
    return min(names, key=len, default=kind.__name__.lower())


def _check_finished(folder: RunFolder, data: HashingData) -> None:
    """Check that a finished run saw the data of now; if they cannot be read, say so."""
    try:
        folder.check_data(data)
    except DataError as error:
        first = error.problems[0]
        print(f"avnas fit: not compared with the data that {folder.path} saw: {first}", file=sys.stderr)


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    quiet()
    end_with_parent()
    command = parser()
    options = command.parse(arguments)
    what = decisive(options, command)
    folder = RunFolder(filled(options.out, what, CHOICES))
    folder.open(what, overwrite=options.overwrite)
    finished = folder.finished
    if finished:
        data_class = task_of(import_class(options.network.class_path)).data_class
        _check_finished(folder, dataset(command.make(options), options.seed, data_class))
    metrics = folder.read_metrics() if finished else fit(build(options, command, folder), folder)
    print_results(metrics)
    if options.page and rank() == 0 and not (finished and (folder.path / "report").exists()):
        page = pages.write_if_possible(lambda: pages.page_of_runs([folder.path]))
        if page is not None:
            log_pictures(options.logger, folder.path, sorted(page.parent.glob("*.png")))
    return 0
