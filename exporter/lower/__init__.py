"""What stands in integer graphs in the place of each float operator."""
