"""One module per family of commands; each turns words into calls and prints the result."""
