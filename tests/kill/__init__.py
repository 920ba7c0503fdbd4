"""The kill test: tiny studies, ended by SIGKILL at random points, and everything on disk looked at after each.

    make kill-test KILLS=200 SEED=1

Two kinds of victim. A *cold* one is `laghu study` as a user gives it: snakemake, a `laghu run` for each run, a kernel
for each notebook, all started from nothing, which takes most of their time. A *warm* one is a fork of this process, in
which PyTorch and Laghu are imported already; it takes the same steps in the same order, by the same functions, and its
kernels are forks, too. So the time in which something is written, which is what may be lost, is hit far more often.
"""
