#!/bin/sh
# h5py 3.16.0 with HDF5 2.0.0: a dataset can keep its values in an external file. If that file is shorter than the dataset
# says, reading gives zeros for what is missing, without an error or a warning; if it is missing altogether, reading fails.
# A copy that stopped half-way is thus read as data. Output: the last two of four rows of ones are zero.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet h5py==3.16.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import h5py
import numpy as np

print("h5py", h5py.version.version, "HDF5", h5py.version.hdf5_version)
values = np.ones((4, 5), "f4")
with h5py.File("outer.h5", "w") as file:
    file.create_dataset("x", (4, 5), "f4", external=[("raw.bin", 0, values.nbytes)])
with open("raw.bin", "wb") as raw:
    raw.write(values.tobytes()[:40])
with h5py.File("outer.h5", "r") as file:
    read = file["x"][()]
print("half of the external file is there; rows read:", read.sum(axis=1).tolist())
assert read[:2].all() and not read[2:].any(), "the behavior has changed"
PYTHON
