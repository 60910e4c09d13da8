import sys
from importlib import import_module

import avhash_nas


def test_importing_metrics_does_not_import_torchmetrics(monkeypatch):
    """torchmetrics takes longer to import than an index takes to answer a query."""
    monkeypatch.setattr(avhash_nas, "metrics", None, raising=False)  # restores the attribute, which the import sets
    for name in [name for name in sys.modules if name.startswith("avhash_nas.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchmetrics", None)  # its import raises ImportError
    metrics = import_module("avhash_nas.metrics")
    assert callable(metrics.evaluate)
    for name in [name for name in sys.modules if name.startswith("avhash_nas.")]:
        monkeypatch.delitem(sys.modules, name)
