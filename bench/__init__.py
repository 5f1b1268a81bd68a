"""What kaiju's speed is, measured in one run beside the systems that it is compared with."""
