import subprocess
import sys


def test_the_functions_come_without_torchmetrics():
    """torchmetrics takes longer to import than an index takes to answer a query."""
    code = "import sys, avhash_nas.metrics; sys.exit('torchmetrics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
