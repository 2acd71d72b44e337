#!/bin/sh
# Renders the frames of a job with an array of sessions, each of which keeps the application open for its part of them:
#
#   sbatch --array=1-3 render.sh ADAPTOR --init-data file://init_data.json --each frame=1-60 --continue JOURNAL ...
#
# What follows ADAPTOR are options of the command session; see README.md here. Python is the one that PYTHON names.
#SBATCH --job-name=render
#SBATCH --array=1-3
#SBATCH --output=%x-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@60
set -eu
adaptor=$1
shift
# The process above this one is Slurm's: if it is killed, this session ends by itself.
export OPENJD_ADAPT_OWNER=$PPID
# By exec, so that the session itself hears what Slurm sends to the script.
exec "${PYTHON:-python3}" -m openjd_adapt --adaptor "$adaptor" session "$@" \
    --part "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --keep-going
