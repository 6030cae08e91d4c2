"""`kilocam bench search`: a fleet's weeks made up, kept and asked as the product does it."""
