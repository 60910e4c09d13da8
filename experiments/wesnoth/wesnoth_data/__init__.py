"""From the units of Battle for Wesnoth to labeled audio-visual clips; `make_dataset.py` is the command."""
