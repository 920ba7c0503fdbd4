"""Studies on more than one worker: what that costs in time, measured and simulated, and a rehearsal on Slurm."""
