"""The simulated venue itself, pure: requests and the time in, reports and market data out."""
