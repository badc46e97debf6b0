#!/bin/sh
# What this package does on one large GPU, in at most ten minutes: a table, and build/gpu.json.
#
#     sh benchmarks/gpu.sh
#     sh benchmarks/gpu.sh --device cpu --tiny     # a rehearsal, in a minute
cd "$(dirname "$0")/.." || exit 1
python=.venv/bin/python
[ -x "$python" ] || python=python3
exec "$python" -m benchmarks.gpu "$@"
