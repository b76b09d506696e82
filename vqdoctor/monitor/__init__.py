"""What a training loop imports: the log it leaves behind, and the instruments that write it."""
