"""`avnas env`: print the versions and devices that results depend on."""

import os
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from avhash_nas.cache import default_cache_dir
from avhash_nas.cli.parser import make_parser
from avhash_nas.versions import versions


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    make_parser("env", "Print versions, devices, threads and the selective-scan back end.").parse(arguments)
    import torch

    from avhash_nas.kernels import scan_backend

    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    rows = {
        **versions(),
        "torch build": f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU",
        "devices": ", ".join(devices) or "CPU only",
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()} cores",
        "selective scan": scan_backend(),
        "feature cache": str(default_cache_dir()),
    }
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)
    return 0
