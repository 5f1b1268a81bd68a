"""The peers, each doing in its own way what ours is measured doing; one file a peer."""
