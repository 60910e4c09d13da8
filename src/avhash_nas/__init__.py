"""avhash-nas: finds, trains and serves audio-visual video hashing networks."""

__version__ = "0.1.0"
