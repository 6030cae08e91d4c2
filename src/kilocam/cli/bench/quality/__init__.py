"""`kilocam bench analyse --quality`: how well analysis sees, against labels of real footage."""
