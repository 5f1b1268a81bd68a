"""Files of steps: segments, snapshots, syncs and repair; knows no actors."""
