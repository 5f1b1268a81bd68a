"""The simulated venue over a socket: sessions, their messages and both ends."""
