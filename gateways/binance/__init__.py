"""Binance: what its messages mean, for spot, USD-margined and coin-margined markets alike."""
