"""What `kilocam bench …` measures: one module per subject, all in one run beside a baseline."""
