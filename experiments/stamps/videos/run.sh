#!/bin/sh
# From a Debian package of pictures and sounds to answers on a web page; `make stamps` runs it.
#
# sh experiments/stamps/videos/run.sh OUT [PACKAGE.deb]
#
# What an earlier call has finished is not done again. SERVE=no leaves the web page out; PORT says where it is (8000).
set -eu
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # operators this small are slower with more
out=${1:?usage: run.sh OUT [PACKAGE.deb]}
package=${2:-}
here=$(dirname "$0")
name=tuxpaint-stamps-default

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
python "$here/make_videos.py" "$package" "$out/media"
avnas extract "$out/media/videos" --out "$out/features" --labels "$out/media/labels.csv" \
    --visual=color_gradients --audio=log_mel
avnas data check "$out/features"
avnas fit --config "$here/avnas.yaml" --data.root "$out/features" --out "$out/run"
avnas encode --run "$out/run" --split train --out "$out/database.npz" --overwrite
avnas index build --codes "$out/database.npz" --store "$out/database.index" --replace
{ set +x; } 2> /dev/null
query=$out/media/videos/$(grep '^house.*,test$' "$out/media/labels.csv" | head -n 1 | cut -d, -f1)
set -x
avnas query --store "$out/database.index" --run "$out/run" --video "$query" --rerank=values
python "$here/score_answers.py" --store "$out/database.index" --run "$out/run" --media "$out/media"
if [ "${SERVE:-yes}" != no ]; then
    avnas serve --store "$out/database.index" --run "$out/run" --features "$out/features" --rerank=values \
        --port "${PORT:-8000}"
fi
