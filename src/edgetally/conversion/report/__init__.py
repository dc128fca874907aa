"""What a conversion tells: its record, the page, and the terminal."""
