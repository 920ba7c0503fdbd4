"""Read by every Python that a cold victim starts, which has this folder on its `PYTHONPATH`."""

import hook

hook.install_from_environment()
