"""One small adapter per data set."""
