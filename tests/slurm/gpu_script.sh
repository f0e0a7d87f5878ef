#!/usr/bin/env bash
# What scripts/slurm/train-gpu.sbatch starts: the preset gpu unless another configuration is named, on CUDA devices unless
# another device is set. Without Slurm: its mpirun only says what it was asked for. Argument: the folder of the sources.
set -uo pipefail
sources=$1
folder=$(mktemp -d "${TMPDIR:-/tmp}/outerloop-gpu-script-XXXXXX")
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/scripts/slurm"
cp "$sources/scripts/slurm/job.sh" "$folder/scripts/slurm/"
printf '#!/bin/sh\necho "started: $*"\nexit 2\n' >"$folder/scripts/mpirun"
printf '#!/bin/sh\n' >"$folder/program"
chmod +x "$folder/scripts/mpirun" "$folder/program"

failed=0
# starts EXPECTED ARGUMENTS...
starts() {
  local expected=$1 said
  shift
  said=$(OUTERLOOP_HOME=$folder OUTERLOOP_PROGRAM=$folder/program SLURM_NTASKS=5 timeout 60 \
    bash "$sources/scripts/slurm/train-gpu.sbatch" "$@" 2>&1)
  grep -qxF "started: -n 5 $folder/program train --run-dir $folder/run $expected" <<<"$said" && return
  echo "train-gpu.sbatch $*: expected '$expected', but it said:"
  echo "$said"
  failed=1
}
starts 'gpu --set device=cuda' "$folder/run"
starts 'gpu --set tasks.group=8 --set device=cuda' "$folder/run" --set tasks.group=8
starts 'cluster --set device=cuda' "$folder/run" cluster
starts 'cluster --set device=cuda:1' "$folder/run" cluster --set device=cuda:1
starts 'gpu --set=device=cpu' "$folder/run" --set=device=cpu
exit $failed
