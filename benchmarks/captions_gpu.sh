#!/usr/bin/env bash
# Train a larger captioner of photographs on a GPU, judge it, and print the main table and the seconds taken.
#
#     benchmarks/captions_gpu.sh DATA RUN [--set ...]
#
# DATA holds flickr8k, flickrstyle and socratis as docs/DATA.md describes them. The further settings make it small enough
# to try on a CPU, with a tenth of the photographs:
#
#     benchmarks/captions_gpu.sh data runs/small --set source.limit_images=600 --set captioner.held_out_images=120 \
#         --set captioner.tuning_images=20 --set captioner.training.epochs=1 --set captioner.training.batch_size=64
set -euo pipefail

data=$1 run=$2
here=$(cd "$(dirname "$0")/.." && pwd)
emocap run "$here/configs/flickr8k-styles.yaml" --run-dir "$run" --set data_root="$data" \
    --set captioner.encoder_layers=3 --set captioner.decoder_layers=6 --set captioner.dropout=0.3 \
    --set captioner.training.epochs=12 --set captioner.training.batch_size=256 \
    --set captioner.training.learning_rate=1e-3 --set captioner.training.head_learning_rate=1e-3 \
    --set captioner.candidates=8 "${@:3}"
python "$here/benchmarks/captions.py" table "$run"
echo "$SECONDS s"
