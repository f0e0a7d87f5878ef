#!/usr/bin/env bash
# Slurm reads the options of a batch script only from lines that begin with exactly #SBATCH, before the first command; a log
# that is not appended to would lose what was written before a requeue. Argument: the folder of the sources.
set -uo pipefail
sources=$1

fail() {
  echo "FAILED: $*"
  exit 1
}

for script in "$sources"/scripts/slurm/*.sbatch; do
  ! grep -nE '^[[:space:]]*#[[:space:]]+SBATCH|^[[:space:]]+#SBATCH' "$script" || fail "$script: Slurm does not read these lines"
  options=$(sed '/^[^#]/,$d' "$script" | sed -n 's/^#SBATCH //p')
  for option in job-name nodes time requeue open-mode=append output; do
    grep -q -- "^--$option\(=\|$\)" <<<"$options" || fail "$script: no --$option"
  done
done
echo passed
