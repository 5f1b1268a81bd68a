"""What an edit of a topology means."""
