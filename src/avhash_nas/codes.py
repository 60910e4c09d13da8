from avhash_nas.metrics.codes import binarize, pack, unpack  # noqa
