"""Pure simulated venues: requests and time in, reports and market data out."""
