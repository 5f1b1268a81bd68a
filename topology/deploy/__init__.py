"""What orchestrators are given."""
