"""From a float run to an int8 bundle."""
