"""Documents per second from text to label: what each step of the way is worth, and what others get. `laghu bench`."""
