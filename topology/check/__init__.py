"""Every mistake of a topology file, each with its place and the nearest fix."""
